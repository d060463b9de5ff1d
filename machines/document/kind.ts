// The document session kind: the statechart with its door, and what its sessions are found by.
// Give it to `openRuntime({ kinds: [document] })`.

import { defineSession, type SessionKind } from 'holdfast'
import { eventSchema } from './events.js'
import { inputSchema } from './input.js'
import { type DocumentMachine, documentMachine } from './machine.js'

/**
 * A planning document with all of its versions.
 *
 *     const session = await runtime.create(document, { title: 'Checkout', initial_content: '# Checkout' })
 *     await session.send({ type: 'pause', reason: 'waiting for feedback' })
 */
export const document: SessionKind<DocumentMachine> = defineSession({
  kind: 'document',
  version: 1,
  machine: documentMachine,
  input: inputSchema,
  events: eventSchema,
  index: ({ context: { repository_path, repository_url, conversion, pages, versions }, value }) => ({
    status: value,
    repository_path: repository_path ?? null,
    repository_url: repository_url ?? null,
    project_id: conversion?.project_id ?? null,
    has_content: pages.length > 0,
    versions: versions.length,
  }),
})
