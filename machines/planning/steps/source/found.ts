// A document as it was found, whatever it was read from.

export interface Source {
  readonly text: string
  readonly format: 'markdown' | 'html'
  /** Of a page whose text does not hold it. */
  readonly title?: string
  /** An absolute path, or a URL. */
  readonly location: string
  readonly bytes: number
}
