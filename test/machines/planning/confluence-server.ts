// A Confluence on the loopback interface: pages, blog posts and spaces of its REST API v2, with its authorization and its
// failures. It remembers every request.

import { type Answer, type Asked, Loopback } from '../loopback.js'

export interface Page {
  readonly title: string
  readonly storage: string
  readonly space?: string
}

const BASE = '/wiki'

export class ConfluenceServer extends Loopback {
  readonly requests: { path: string; authorization: string | undefined }[] = []
  readonly pages: Map<string, Page> = new Map()
  readonly posts: Map<string, Page> = new Map()
  readonly spaces: Map<string, string> = new Map([['SHOP', '65']])
  /** Who may read. */
  authorization = 'Bearer right'
  /** What the next requests get instead of an answer. */
  faults: Answer[] = []

  /** Resolves with its base URL. */
  override listen(): Promise<string> {
    return super.listen(BASE)
  }

  protected override answer({ url: asked, authorization }: Asked): Answer {
    const url = new URL(asked, 'http://x')
    this.requests.push({ path: `${url.pathname}${url.search}`, authorization })
    return this.faults.shift() ?? this.#found(url, authorization)
  }

  #found(url: URL, authorization: string | undefined): Answer {
    if (authorization !== this.authorization) return failed(401, 'UNAUTHORIZED')
    const api = `${BASE}/api/v2/`
    if (!url.pathname.startsWith(api)) return { status: 200, body: '<html>log in</html>' }
    const [kind = '', id] = url.pathname.slice(api.length).split('/')
    const asked = url.searchParams
    const found = kind === 'blogposts' ? this.posts : this.pages
    if (kind === 'spaces') {
      const space = this.spaces.get(asked.get('keys') ?? '')
      return { status: 200, body: JSON.stringify({ results: space === undefined ? [] : [{ id: space }] }) }
    }
    if (id !== undefined) {
      const page = found.get(id)
      return page ? { status: 200, body: JSON.stringify(shown(id, page, asked)) } : failed(404, 'NOT_FOUND')
    }
    const results = [...found]
      .filter(
        ([, page]) => page.title === asked.get('title') && this.spaces.get(page.space ?? '') === asked.get('space-id'),
      )
      .map(([each, page]) => shown(each, page, asked))
    return { status: 200, body: JSON.stringify({ results, _links: {} }) }
  }
}

/** Without `body-format` there is no body, as over there. */
function shown(id: string, { title, storage }: Page, asked: URLSearchParams): object {
  const body = asked.get('body-format') === 'storage' ? { storage: { representation: 'storage', value: storage } } : {}
  return { id, status: 'current', title, spaceId: '65', body, version: { number: 3 } }
}

const failed = (status: number, code: string): Answer => ({
  status,
  body: JSON.stringify({ errors: [{ status, code, title: code }] }),
})
