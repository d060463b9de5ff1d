// Runs before each test file when coverage is counted: what a test starts from here on, a process or a thread, writes down
// what it ran when it ends. The process of the test itself does not: vitest counts it.
process.env.NODE_V8_COVERAGE = process.env.HOLDFAST_CHILDREN_COVERAGE
