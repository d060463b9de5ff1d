// The elements that Confluence's storage format adds to HTML: macros, links, tasks.
// Which of them are blocks, what the others read as in a line, and what no reader sees.

import { attributeOf, childElements, childNamed, type Element, elementsNamed, type Node, textIn } from './dom.js'

export const isMacro = ({ name }: Element): boolean => name === 'ac:structured-macro' || name === 'ac:macro'

/** What a macro holds: rich text, or text kept as it is. */
export const bodyOf = (macro: Element): Element | undefined => childNamed(macro, 'ac:rich-text-body')
export const plainBodyOf = (macro: Element): Element | undefined => childNamed(macro, 'ac:plain-text-body')

export function parameterOf(macro: Element, name: string): string {
  const parameter = childElements(macro).find(
    (child) => child.name === 'ac:parameter' && attributeOf(child, 'ac:name') === name,
  )
  return parameter === undefined ? '' : textIn(parameter.children).trim()
}

/** A macro with a body is a block; one without stands in a line, as an icon or a label does. */
export const isBlockMacro = (macro: Element): boolean => bodyOf(macro) !== undefined || plainBodyOf(macro) !== undefined

/** What a macro without a body reads as: a status its title, an issue its key; a table of contents nothing. */
export function macroText(macro: Element): string {
  const kind = attributeOf(macro, 'ac:name')
  if (kind === 'status') return parameterOf(macro, 'title')
  return kind === 'jira' ? parameterOf(macro, 'key') : ''
}

/** What shows a link: its own text, or the title of the page. */
export function linkNodes(link: Element): { nodes: readonly Node[]; text: string } {
  const body = childNamed(link, 'ac:link-body', 'ac:plain-text-link-body')
  if (body !== undefined) return { nodes: body.children, text: '' }
  const page = childNamed(link, 'ri:page', 'ri:blog-post', 'ri:attachment')
  const text = page && (attributeOf(page, 'ri:content-title') || attributeOf(page, 'ri:filename'))
  return { nodes: [], text: text ?? '' }
}

/** An element of the new editor brings a form that readers without it see. */
export function fallbackOf(extension: Element): readonly Node[] {
  const [fallback] = elementsNamed('ac:adf-fallback', extension.children)
  return fallback?.children ?? []
}

export interface Task {
  readonly done: boolean
  readonly nodes: readonly Node[]
}

export const tasksOf = (list: Element): Task[] =>
  childElements(list)
    .filter(({ name }) => name === 'ac:task')
    .map((task) => ({
      done: textIn(childNamed(task, 'ac:task-status')?.children ?? []).trim() === 'complete',
      nodes: childNamed(task, 'ac:task-body')?.children ?? [],
    }))
