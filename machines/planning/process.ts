// The way to start the steps of a planning session.

import { sendTo } from './planning-runtime.js'

/**
 * Starts the steps; resolves when that is durable, not when they are done: `getState` shows how far they are.
 * Rejects with `Planning session not found: <id>`, or NOT_ACCEPTED when the session is not pending.
 */
export const startPlanningProcess = (sessionId: string): Promise<void> => sendTo(sessionId, { type: 'start' })
