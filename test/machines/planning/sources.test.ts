// Documents that are not Markdown files: HTML files, pages on the web within limits, pages of Confluence. Against servers on
// the loopback interface, which is itself what must not be reached unless it is allowed by name.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isPublic } from '../../../machines/planning/steps/source/addresses.js'
import { LARGEST_DOCUMENT_BYTES, readSource, type SourceAccess } from '../../../machines/planning/steps/source.js'
import { ConfluenceServer } from './confluence-server.js'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-sources-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('a file', () => {
  test.each(['plan.html', 'plan.htm', 'plan.XHTML'])('%s is read as HTML', async (name) => {
    writeFileSync(join(dir, name), '<h1>Epic: Pay</h1>')
    expect(await readSource(name, dir)).toEqual({
      text: '<h1>Epic: Pay</h1>',
      format: 'html',
      location: join(dir, name),
      bytes: 18,
    })
  })

  test.each(['ftp://x/plan.md', 'javascript:alert(1)', 'data:text/plain,x', 'http://'])(
    '%s is not supported',
    async (source) => {
      await expect(readSource(source, dir)).rejects.toMatchObject({ code: 'SOURCE_NOT_SUPPORTED', retry: false })
    },
  )
})

describe('addresses', () => {
  test.each([
    ...[
      '93.184.216.34',
      '8.8.8.8',
      '172.32.0.1',
      '100.128.0.1',
      '2606:2800:220:1:248:1893:25c8:1946',
      '2001:4860:4860::8888',
    ],
    '::ffff:8.8.8.8',
  ])('%s is public', (address) => expect(isPublic(address)).toBe(true))

  test.each([
    ...[
      '127.0.0.1',
      '127.8.9.1',
      '0.0.0.0',
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '169.254.169.254',
    ],
    ...['100.64.0.1', '192.0.0.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', '203.0.113.9'],
    ...['::1', '::', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fd12:3456::1', 'ff02::1', '2001:db8::1', '2002:7f00:1::'],
    ...[
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '0:0:0:0:0:ffff:a9fe:a9fe',
      '::ffff:10.0.0.1',
      '64:ff9b::7f00:1',
      '::127.0.0.1',
    ],
    'no address',
  ])('%s is not', (address) => expect(isPublic(address)).toBe(false))
})

describe('a page on the web', () => {
  let server: Server
  let origin: string
  let port: number
  let answer: (request: IncomingMessage, response: ServerResponse) => void
  let requests: IncomingMessage[]
  beforeEach(async () => {
    requests = []
    server = createServer((request, response) => {
      requests.push(request)
      answer(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
    origin = `http://127.0.0.1:${port}`
  })
  afterEach(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  const serve = (
    body: string | Uint8Array,
    type = 'text/html; charset=utf-8',
    headers: Record<string, string> = {},
  ): void => {
    answer = (_, response) => void response.writeHead(200, { 'content-type': type, ...headers }).end(body)
  }
  const read = (path = '/plan', access: SourceAccess = {}) =>
    readSource(path.startsWith('http') ? path : `${origin}${path}`, dir, {
      allowHosts: [`127.0.0.1:${port}`],
      env: {},
      ...access,
    })

  test('of HTML, Markdown or plain text is read as what it is', async () => {
    serve('<h1>Epic: Pay</h1>')
    expect(await read()).toEqual({ text: '<h1>Epic: Pay</h1>', format: 'html', location: `${origin}/plan`, bytes: 18 })
    for (const [type, path] of [
      ['text/markdown', '/a'],
      ['text/x-markdown; charset=utf-8', '/a'],
      ['text/plain', '/a'],
      ['application/octet-stream', '/plan.md'],
    ] as const) {
      serve('# Epic: Grüße', type)
      expect(await read(path)).toMatchObject({ format: 'markdown', text: '# Epic: Grüße' })
    }
  })

  test('is read in the encoding that the server says, or the page itself', async () => {
    serve(Buffer.from('<p>Gr\xfc\xdfe</p>', 'latin1'), 'text/html; charset=iso-8859-1')
    expect((await read()).text).toBe('<p>Grüße</p>')
    serve(Buffer.from('<meta charset="windows-1252"><p>Gr\xfc\xdfe</p>', 'latin1'), 'text/html')
    expect((await read()).text).toContain('Grüße')
    serve(Buffer.from('Gr\xfc\xdfe', 'latin1'), 'text/plain')
    await expect(read()).rejects.toMatchObject({ code: 'DOCUMENT_NOT_TEXT' })
    serve('x', 'text/html; charset=klingon')
    await expect(read()).rejects.toMatchObject({ code: 'DOCUMENT_NOT_TEXT' })
  })

  test('packed by a server that was not asked to is unpacked', async () => {
    serve(gzipSync('# Epic: Pay'), 'text/markdown', { 'content-encoding': 'gzip' })
    expect((await read()).text).toBe('# Epic: Pay')
    expect(requests[0]?.headers['accept-encoding']).toBe('identity')
  })

  test('that is empty is EMPTY_DOCUMENT', async () => {
    serve(' \n', 'text/markdown')
    await expect(read()).rejects.toMatchObject({ code: 'EMPTY_DOCUMENT' })
  })

  test.each(['application/pdf', 'image/png', 'application/json', ''])(
    'of type "%s" is refused',
    async (contentType) => {
      serve('x', contentType)
      await expect(read('/plan')).rejects.toMatchObject({
        code: 'CONTENT_TYPE_NOT_SUPPORTED',
        details: { contentType },
      })
    },
  )

  test('that is too large is refused: promised, sent without a promise, and packed small', async () => {
    answer = (_, response) =>
      void response
        .writeHead(200, { 'content-type': 'text/html', 'content-length': LARGEST_DOCUMENT_BYTES + 1 })
        .write('x')
    await expect(read()).rejects.toMatchObject({ code: 'DOCUMENT_TOO_LARGE', retry: false })
    answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' })
      for (let mb = 0; mb < 11; mb++) response.write('x'.repeat(1024 * 1024))
      response.end()
    }
    await expect(read()).rejects.toMatchObject({ code: 'DOCUMENT_TOO_LARGE' })
    serve(gzipSync(Buffer.alloc(LARGEST_DOCUMENT_BYTES + 1, 'x')), 'text/html', { 'content-encoding': 'gzip' })
    await expect(read()).rejects.toMatchObject({ code: 'DOCUMENT_TOO_LARGE' })
  })

  test('that is slow, at its head or in its body, ends with the time limit; a cancelled one with the reason', async () => {
    answer = () => {}
    await expect(read('/plan', { timeoutMs: 100 })).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE', retry: true })
    answer = (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).write('<p>')
    await expect(read('/plan', { timeoutMs: 100 })).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
    answer = () => {}
    const stop = new AbortController()
    setTimeout(() => stop.abort(new Error('enough')), 50)
    await expect(read('/plan', { signal: stop.signal })).rejects.toThrow('enough')
  })

  test.each([
    [404, {}, 'PAGE_NOT_FOUND', false],
    [410, {}, 'PAGE_NOT_FOUND', false],
    [401, {}, 'ACCESS_DENIED', false],
    [403, {}, 'ACCESS_DENIED', false],
    [500, {}, 'SOURCE_UNAVAILABLE', true],
    [503, {}, 'SOURCE_UNAVAILABLE', true],
    [418, {}, 'SOURCE_UNREADABLE', false],
  ])('%i is %s %s', async (status, headers, code, retry) => {
    answer = (_, response) => void response.writeHead(status, headers).end('x')
    await expect(read()).rejects.toMatchObject({ code, retry, details: { status } })
  })

  test.each([
    ['120', 120_000],
    ['0', 1_000],
    ['999999', 3_600_000],
    ['soon', 60_000],
  ])('429 with Retry-After %s says to wait for %i ms', async (after, waitMs) => {
    answer = (_, response) => void response.writeHead(429, { 'retry-after': after }).end()
    await expect(read()).rejects.toMatchObject({ code: 'SOURCE_RATE_LIMITED', retry: false, details: { waitMs } })
  })

  test('nobody listening is SOURCE_UNAVAILABLE, with the reason', async () => {
    await expect(read('http://127.0.0.1:1/x', { allowHosts: ['127.0.0.1'] })).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      details: { reason: 'ECONNREFUSED' },
    })
  })

  describe('is followed where it leads', () => {
    test('to a place relative to it, and says where it was found', async () => {
      answer = (request, response) => {
        if (request.url === '/plan') response.writeHead(302, { location: '../moved?x=1' }).end()
        else response.writeHead(200, { 'content-type': 'text/markdown' }).end('# Epic: Pay')
      }
      expect((await read()).location).toBe(`${origin}/moved?x=1`)
    })

    test('a few times, not for ever', async () => {
      answer = (request, response) => void response.writeHead(307, { location: `${request.url}x` }).end()
      await expect(read()).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' })
      expect(requests).toHaveLength(6)
    })

    test.each(['file:///etc/passwd', 'ftp://x/', 'http://['])('but not to %s', async (location) => {
      answer = (_, response) => void response.writeHead(302, { location }).end()
      await expect(read()).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' })
    })

    test.each(['http://localhost:PORT/', 'http://[::1]/', 'http://169.254.169.254/latest', 'http://2130706433/'])(
      'but not to %s, which was not allowed',
      async (location) => {
        answer = (_, response) =>
          void response.writeHead(302, { location: location.replace('PORT', String(port)) }).end()
        await expect(read()).rejects.toMatchObject({ code: 'ADDRESS_NOT_ALLOWED' })
        expect(requests).toHaveLength(1)
      },
    )
  })

  describe('at an address that is not public', () => {
    test.each([
      ...['http://127.0.0.1:PORT/', 'http://localhost:PORT/', 'http://[::ffff:127.0.0.1]:PORT/', 'http://0x7f.1:PORT/'],
      ...[
        'http://127.1:PORT/',
        'http://0.0.0.0:PORT/',
        'http://[::1]:PORT/',
        'http://10.0.0.1/',
        'http://169.254.169.254/',
      ],
    ])('%s is refused, and no request is made', async (source) => {
      serve('# Epic: Pay', 'text/markdown')
      const url = source.replace('PORT', String(port))
      await expect(read(url, { allowHosts: [] })).rejects.toMatchObject({
        code: 'ADDRESS_NOT_ALLOWED',
        retry: false,
        message: expect.stringContaining('HOLDFAST_ALLOW_HOSTS'),
      })
      expect(requests).toEqual([])
    })

    test('a host is allowed with its port or without, and only that host', async () => {
      serve('# Epic: Pay', 'text/markdown')
      await read(`http://localhost:${port}/`, { allowHosts: ['localhost'] })
      await read(`http://localhost:${port}/`, { allowHosts: [`localhost:${port}`] })
      await expect(read(`http://localhost:${port}/`, { allowHosts: ['localhost:1'] })).rejects.toMatchObject({
        code: 'ADDRESS_NOT_ALLOWED',
      })
      await expect(read(origin, { allowHosts: ['localhost'] })).rejects.toMatchObject({ code: 'ADDRESS_NOT_ALLOWED' })
    })

    test('a name with one such address among others is refused', async () => {
      const resolve: SourceAccess['resolve'] = (_, __, done) =>
        done(null, [
          { address: '93.184.216.34', family: 4 },
          { address: '127.0.0.1', family: 4 },
        ])
      await expect(read(`http://two.test:${port}/`, { allowHosts: [], resolve })).rejects.toMatchObject({
        code: 'ADDRESS_NOT_ALLOWED',
        details: { address: '127.0.0.1' },
      })
    })

    test('a name that answers differently the second time is asked once, and connected to what was checked', async () => {
      serve('# Epic: Pay', 'text/markdown')
      const answers = ['93.184.216.34', '127.0.0.1']
      let asked = 0
      const resolve: SourceAccess['resolve'] = (_, __, done) => {
        done(null, [{ address: answers[Math.min(asked++, 1)] as string, family: 4 }])
      }
      const access = { allowHosts: [], resolve, timeoutMs: 300 }
      await expect(read(`http://rebinding.test:${port}/`, access)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
      expect([asked, requests.length]).toEqual([1, 0])
      await expect(read(`http://rebinding.test:${port}/`, access)).rejects.toMatchObject({
        code: 'ADDRESS_NOT_ALLOWED',
      })
    })

    test('a name is connected to at the address that it was checked to have', async () => {
      serve('# Epic: Pay', 'text/markdown')
      const resolve: SourceAccess['resolve'] = (_, __, done) => done(null, [{ address: '127.0.0.1', family: 4 }])
      await read(`http://wiki.intern:${port}/x`, { allowHosts: ['wiki.intern'], resolve })
      expect(requests[0]?.headers.host).toBe(`wiki.intern:${port}`)
    })
  })

  test('a password in a URL is refused, since it would be recorded', async () => {
    await expect(read(`http://me:secret@127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'SOURCE_NOT_SUPPORTED' })
    expect(requests).toEqual([])
  })
})

describe('a page of Confluence', () => {
  const STORAGE = '<h2>Story: Pay by card</h2><p>As a buyer, I want to pay by card.</p>'
  let confluence: ConfluenceServer
  let base: string
  beforeEach(async () => {
    confluence = new ConfluenceServer()
    confluence.pages.set('65537', { title: 'Epic: Payments', storage: STORAGE, space: 'SHOP' })
    confluence.posts.set('77', { title: 'News', storage: '<p>Story: Blog</p>' })
    base = await confluence.listen()
  })
  afterEach(() => confluence.close())

  const read = (source: string, env: NodeJS.ProcessEnv = {}) =>
    readSource(source, dir, { env: { CONFLUENCE_BASE_URL: base, CONFLUENCE_API_TOKEN: 'right', ...env } })

  test.each([
    ['/spaces/SHOP/pages/65537/Payments', '65537'],
    ['/spaces/SHOP/pages/65537', '65537'],
    ['/spaces/SHOP/pages/65537/Payments?focusedCommentId=1#x', '65537'],
    ['/spaces/SHOP/pages/edit-v2/65537', '65537'],
    ['/pages/viewpage.action?pageId=65537', '65537'],
    ['/x/AQAB', '65537'],
    ['/display/SHOP/Epic%3A+Payments', '65537'],
  ])('%s is asked for by the interface, in the storage format', async (path) => {
    expect(await read(`${base}${path}`)).toEqual({
      text: STORAGE,
      title: 'Epic: Payments',
      format: 'html',
      location: `${base}${path}`,
      bytes: STORAGE.length,
    })
    expect(confluence.requests.every((request) => request.path.startsWith('/wiki/api/v2/'))).toBe(true)
    expect(confluence.requests.at(-1)?.path).toContain('body-format=storage')
  })

  test('a blog post too', async () => {
    expect(await read(`${base}/spaces/SHOP/blog/2024/01/02/77/News`)).toMatchObject({ title: 'News' })
  })

  test.each([
    ['a token', {}, 'Bearer right'],
    ['a token and an e-mail address', { CONFLUENCE_EMAIL: 'me@acme.test' }, `Basic ${btoa('me@acme.test:right')}`],
    ['both in one', { CONFLUENCE_API_TOKEN: 'me@acme.test:right' }, `Basic ${btoa('me@acme.test:right')}`],
  ])('%s is sent as Confluence wants it', async (_, env, authorization) => {
    confluence.authorization = authorization
    expect((await read(`${base}/spaces/SHOP/pages/65537`, env)).title).toBe('Epic: Payments')
  })

  test.each([
    [
      'a wrong token',
      { CONFLUENCE_API_TOKEN: 'wrong' },
      '/spaces/SHOP/pages/65537',
      { code: 'ACCESS_DENIED', retry: false },
    ],
    ['a page that is not there', {}, '/spaces/SHOP/pages/9', { code: 'PAGE_NOT_FOUND' }],
    ['a space that is not there', {}, '/display/NOPE/Payments', { code: 'PAGE_NOT_FOUND' }],
    ['a title that is not there', {}, '/display/SHOP/Nope', { code: 'PAGE_NOT_FOUND' }],
    ['a URL that names no page', {}, '/spaces/SHOP/overview', { code: 'SOURCE_NOT_SUPPORTED' }],
    [
      'no token',
      { CONFLUENCE_API_TOKEN: '' },
      '/spaces/SHOP/pages/65537',
      { code: 'SOURCE_NOT_CONFIGURED', details: { variable: 'CONFLUENCE_API_TOKEN' } },
    ],
  ])('%s is refused', async (_, env, path, error) => {
    await expect(read(`${base}${path}`, env)).rejects.toMatchObject(error)
  })

  test.each([
    [
      { status: 429, headers: { 'retry-after': '7' } },
      { code: 'SOURCE_RATE_LIMITED', details: { waitMs: 7_000 } },
    ],
    [{ status: 502 }, { code: 'SOURCE_UNAVAILABLE', retry: true }],
    [{ status: 200, body: '<html>log in</html>' }, { code: 'SOURCE_UNREADABLE' }],
    [{ status: 200, body: '{"title":"no body"}' }, { code: 'SOURCE_UNREADABLE' }],
    [{ status: 302, headers: { location: 'http://127.0.0.1:1/steal' } }, { code: 'REDIRECT_REFUSED' }],
  ])('an answer %j is told apart', async (fault, error) => {
    confluence.faults = [fault]
    await expect(read(`${base}/spaces/SHOP/pages/65537`)).rejects.toMatchObject(error)
  })

  test('the token goes nowhere but to the site: another path of the host, and another host, are fetched without it', async () => {
    const other = `${new URL(base).origin}/elsewhere/spaces/SHOP/pages/65537`
    await expect(
      readSource(other, dir, { env: { CONFLUENCE_BASE_URL: base, CONFLUENCE_API_TOKEN: 'right' } }),
    ).rejects.toMatchObject({
      code: 'ADDRESS_NOT_ALLOWED',
    })
    expect(confluence.requests).toEqual([])
  })

  test('of the cloud, without a site named, says which variables to set', async () => {
    await expect(
      readSource('https://acme.atlassian.net/wiki/spaces/X/pages/1', dir, { env: {} }),
    ).rejects.toMatchObject({
      code: 'SOURCE_NOT_CONFIGURED',
      message: expect.stringContaining('CONFLUENCE_BASE_URL to https://acme.atlassian.net/wiki'),
    })
  })
})
