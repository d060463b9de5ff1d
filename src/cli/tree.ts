// A tree as lines of text. Pure; the labels are printable already.

export interface Branch {
  readonly label: string
  readonly branches: readonly Branch[]
}

/** The lines of a forest: roots at the margin, everything else under its own. */
export const treeLines = (roots: readonly Branch[]): string[] =>
  roots.flatMap(({ label, branches }) => [label, ...below(branches, '')])

function below(branches: readonly Branch[], margin: string): string[] {
  return branches.flatMap(({ label, branches: inner }, index) => {
    const last = index === branches.length - 1
    return [`${margin}${last ? '└─ ' : '├─ '}${label}`, ...below(inner, `${margin}${last ? '   ' : '│  '}`)]
  })
}
