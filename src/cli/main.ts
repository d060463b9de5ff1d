#!/usr/bin/env node
// The program `holdfast`: hands its arguments on and takes the exit code back. Everything else is elsewhere.

import { run } from './program.js'

process.exitCode = await run(process.argv.slice(2), { out: process.stdout, err: process.stderr, env: process.env })
