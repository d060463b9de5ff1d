// The module of the agents of bench/kinds.js: hooks that do nothing, and a tool that has little to do.
export const start = () => {}
export const stop = () => {}
export const tools = { look: { execute: ({ n }) => ({ n }) } }
