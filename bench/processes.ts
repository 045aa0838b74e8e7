import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { environmentOf } from '../sandbox/broker_process.ts'
import { answerOf, endProcess, startModule } from '../sandbox/module_process.ts'
import type { Config } from '../src/config.ts'
import type { Order, Preparation, Rung, Run, Slice } from './orders.ts'
import type { Stage } from './stage.ts'

/** The server of whatever is measured, and the generator of its load, each a process of its own. */
export interface Processes {
  readonly ports: Readonly<Record<Rung, number>>
  /** One slice of load, on a server that has worked off what was left over. Throws when an answer was not 200. */
  slice(preparation: Preparation, run: Run): Promise<Slice>
  /** The server works off what is left over, and tells its memory in bytes. */
  settle(): Promise<number>
  close(): Promise<void>
}

export async function startProcesses(stage: Stage, config: Config): Promise<Processes> {
  const server = await startModule('bench/rung_server', {
    ...(await environmentOf(config, join(stage.folder, 'rung_server'))),
    LOG_LEVEL: 'info',
  })
  const load = await startModule('bench/load')
  const settle = async () => {
    const answer = answerOf(server.child)
    server.child.send('settle')
    return ((await answer) as { rss_bytes: number }).rss_bytes
  }
  return {
    ports: server.first as Record<Rung, number>,
    settle,
    async slice(preparation, run) {
      await settle()
      await tell(load.child, { prepare: preparation })
      const slice = (await tell(load.child, { run })) as Slice
      if (Object.keys(slice.others).length > 0)
        throw new Error(`${preparation.path} answered ${JSON.stringify(slice.others)}`)
      return slice
    },
    async close() {
      await endProcess(load.child)
      await endProcess(server.child)
    },
  }
}

async function tell(child: ChildProcess, order: Order): Promise<unknown> {
  const answer = answerOf(child)
  child.send(order)
  return answer
}
