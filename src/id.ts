// What the id of a session looks like. Ids are file names and stand in the lines of the journal, so they are nothing that
// either would have to escape.

/** The source of a pattern, for whoever looks for ids in a text. */
export const ID_SHAPE = '[A-Za-z0-9][A-Za-z0-9_-]{0,63}'

const PATTERN = new RegExp(`^${ID_SHAPE}$`)

/** What the names of principals, organizations and teams look like. */
export const isOwnerName = (name: unknown): name is string =>
  typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$/.test(name)

export const isId = (id: unknown): id is string => typeof id === 'string' && PATTERN.test(id)
