// A relay between clients and a server that cuts connections off, in the middle of whatever they carry.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Relay extends AsyncDisposable {
  readonly url: string
  /** Leads to another port from now on. */
  port: number
  /** Cuts off every connection there is; tells how many. */
  cut(): number
  /** Passes on so many more bytes to clients, over all connections, then cuts the one that has the last. */
  cutAfter(bytes: number): void
}

export async function relayTo(first: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  let budget = Number.POSITIVE_INFINITY
  const relay = {
    port: first,
    cut: () => {
      const count = sockets.size
      for (const socket of sockets) socket.destroy()
      return count
    },
    cutAfter: (bytes: number) => {
      budget = bytes
    },
  }
  const server = createServer((client) => {
    const upstream = connect(relay.port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.on('data', (bytes) => {
      if (bytes.length <= budget) {
        budget -= bytes.length
        if (!client.write(bytes)) {
          upstream.pause()
          client.once('drain', () => upstream.resume())
        }
        return
      }
      const passed = bytes.subarray(0, budget)
      budget = Number.POSITIVE_INFINITY
      client.write(passed, () => client.destroy())
      upstream.destroy()
    })
    upstream.on('end', () => client.end())
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(relay, {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      relay.cut()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}
