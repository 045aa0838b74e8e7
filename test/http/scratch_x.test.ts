import { it } from '@jest/globals'
import net from 'node:net'
import { openDatabase } from '../../src/storage/database.ts'
import { databaseUnavailable } from '../../src/storage/unavailable.ts'
import { testDatabase } from '../support/database.ts'
it('x', async () => {
  const database = await testDatabase()
  const url = new URL(database.serviceUrl)
  const sockets: net.Socket[] = []
  const proxy = net.createServer((c) => { const u = net.connect(Number(url.port), url.hostname); sockets.push(c,u); c.pipe(u); u.pipe(c); c.on('error',()=>{}); u.on('error',()=>{}) }).listen(0, '127.0.0.1')
  await new Promise((r) => proxy.once('listening', r))
  url.port = String((proxy.address() as net.AddressInfo).port)
  const db = openDatabase(url.href)
  const q = db.knex.raw('select pg_sleep(5), ?::text', ['secret-binding'])
  setTimeout(() => sockets.forEach((s) => s.destroy()), 500)
  await q.catch((e: Error) => console.log('MSG', e.name, e.message, databaseUnavailable(e)))
  await db.knex.raw('select ?::int', ['secret']).catch((e: Error) => console.log('MSG', e.name, e.message, databaseUnavailable(e)))
  await db.knex.destroy(); proxy.close(); await database.drop()
})
