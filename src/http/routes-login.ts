// The routes of a browser: a page of this server exchanges the token for a cookie that no script can read, since a stream
// in a browser (EventSource, WebSocket) cannot send a header of its own.

import { z } from 'zod'
import { HoldfastError } from '../errors.js'
import { COOKIE } from './principal.js'
import { type Route, route } from './route.js'

const cookie = (value: string, request: Request, more = ''): string =>
  `${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict${new URL(request.url).protocol === 'https:' ? '; Secure' : ''}${more}`

export const loginRoutes: readonly Route[] = [
  route({
    name: 'login',
    method: 'POST',
    path: '/v1/login',
    summary: 'Keeps a token in a cookie that no script can read, for the streams of a browser.',
    access: 'public',
    concerns: 'nothing',
    mutates: false,
    body: z.strictObject({ token: z.string().min(1).max(512) }),
    answers: {
      200: {
        description: 'Who the token belongs to',
        schema: z.object({ id: z.string(), roles: z.array(z.string()) }),
      },
    },
    handle: ({ body, services, headers, request }) => {
      const principal = services.principals.byToken(body.token)
      if (!principal) throw new HoldfastError('TOKEN_REQUIRED', 'this server does not know that token')
      headers.set('set-cookie', cookie(body.token, request))
      return { id: principal.id, roles: principal.roles }
    },
  }),
  route({
    name: 'logout',
    method: 'POST',
    path: '/v1/logout',
    summary: 'Removes the cookie.',
    access: 'public',
    concerns: 'nothing',
    mutates: false,
    answers: { 204: { description: 'It is gone' } },
    handle: ({ headers, request }) => {
      headers.set('set-cookie', cookie('', request, '; Max-Age=0'))
    },
  }),
]
