// What Linear has words for, and what it has not: priorities, estimates on the scale of a team, labels in place of types.
// Pure. What has no place in a field stands in the issue's text instead, so that nothing is lost.

import type { Priority } from '../../document.js'
import type { NewIssue } from '../../tracker.js'

export const PRIORITIES: Readonly<Record<Priority, number>> = { urgent: 1, high: 2, medium: 3, low: 4 }

/** Linear has no types of issue; a label says it. */
export const labelsOf = ({ type, labels }: NewIssue): string[] => [
  `${type[0]?.toUpperCase()}${type.slice(1)}`,
  ...labels.filter((label) => label.toLowerCase() !== type),
]

/** How a team estimates, as Linear tells it. */
export interface Estimation {
  /** `notUsed`, `exponential`, `fibonacci`, `linear`, `tShirt`. */
  readonly issueEstimationType: string
  readonly issueEstimationExtended: boolean
  readonly issueEstimationAllowZero: boolean
}

const SCALES: Readonly<Record<string, readonly [usual: readonly number[], extended: readonly number[]]>> = {
  exponential: [
    [1, 2, 4, 8, 16],
    [32, 64],
  ],
  fibonacci: [
    [1, 2, 3, 5, 8],
    [13, 21],
  ],
  linear: [
    [1, 2, 3, 4, 5],
    [6, 7],
  ],
  tShirt: [
    [1, 2, 3, 5, 8],
    [13, 21],
  ],
}

/** The nearest estimate on the team's scale, the larger of two; undefined where the team does not estimate. */
export function estimateOn(team: Estimation, points: number): number | undefined {
  const [usual, extended] = SCALES[team.issueEstimationType] ?? []
  if (usual === undefined || extended === undefined) return undefined
  const scale = [
    ...(team.issueEstimationAllowZero ? [0] : []),
    ...usual,
    ...(team.issueEstimationExtended ? extended : []),
  ]
  return scale.reduce((best, each) => (Math.abs(each - points) <= Math.abs(best - points) ? each : best))
}

const LONGEST_TITLE = 250

/** The title and the text, with what has no field of its own at the text's head. */
export function textsOf(issue: NewIssue, estimate: number | undefined): { title: string; description: string } {
  const { title, description, estimate: points } = issue
  const isLong = title.length > LONGEST_TITLE
  const notes = [isLong && title, points !== undefined && points !== estimate && `Story points: ${points}`, description]
  return {
    title: isLong ? `${title.slice(0, LONGEST_TITLE - 1).trimEnd()}…` : title,
    description: notes.filter((note) => note).join('\n\n'),
  }
}
