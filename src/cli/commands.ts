import { verifyArgumentsUsage } from './verify_arguments.ts'

/** One command of the command line. `run` resolves to the exit code. */
interface Command {
  readonly usage: string
  readonly what: string
  readonly run: (argv: string[]) => Promise<number>
}

/** What every client is registered with. */
const identified = '--id <id> --legal-name <name> --lei <lei> --website <url> --contact <address>'
const secured =
  '(--jwks <file> | --jwks-uri <url>) [--auth private_key_jwt | --auth self_signed_tls_client_auth | --auth tls_client_auth (--tls-subject-dn | --tls-san-dns | --tls-san-uri | --tls-san-ip | --tls-san-email) <name>] [--binding dpop|mtls] [--signed-requests]'

/** Where an archive, or a place of backups, is. */
const archive = '<folder or s3://bucket/prefix>'

/** Every command, by name. Each is loaded when it is called: few need the server, or all of the broker. */
export const commands: Readonly<Record<string, Command>> = {
  start: {
    usage: '',
    what: 'with DATABASE_URL, serve; without it, the whole sandbox: PostgreSQL, four banks, a Messenger, the broker',
    run: async () => (await import('./serve.ts')).startCommand(),
  },
  serve: {
    usage: '',
    what: 'the broker, configured by the environment (docs/operating.md)',
    run: async () => (await import('./serve.ts')).serveCommand(),
  },
  migrate: {
    usage: '',
    what: 'bring the database at DATABASE_OWNER_URL up to date',
    run: async () => (await import('./migrate.ts')).migrateCommand(),
  },
  ledger: {
    usage:
      'open --bank <id> [--after <checkpoint file> --policy <file> --reason <text>] | init-mark --bank <id> | resume --bank <id> | close --bank <id> --reason <text> [--checkpoint <file>]',
    what: "open a bank's ledger, once, or one that follows another; set its mark anew after the marks were lost; let signing go on after a witness stopped it; or close it for ever",
    run: async (argv) => (await import('./ledger.ts')).ledgerCommand(argv),
  },
  detach: {
    usage: '--older-than <days> [--min-rows <n>]',
    what: 'as the owner at DATABASE_OWNER_URL: let entries leave the database that are old, signed, and in the archive',
    run: async (argv) => (await import('./detach.ts')).detachCommand(argv),
  },
  bank: {
    usage: 'list | check --bank <id>',
    what: "the banks of the directory; or whether a bank's ledger, key, metadata and knowledge of this broker are in order",
    run: async (argv) => (await import('./bank.ts')).bankCommand(argv),
  },
  keys: {
    usage: 'list | rotate [--now]',
    what: 'the keys that sign tokens; rotate publishes the next one, and brokers that run do the rest; --now waits for nothing',
    run: async (argv) => (await import('./keys.ts')).keysCommand(argv),
  },
  recipient: {
    usage: `add ${identified} --class <class> ${secured} --redirect-uri <uri> --page <id> [--scope <scope>] | approve --bank <id> --jws <file> | suspend --bank <id> --id <id> | disable --id <id>`,
    what: 'register recipients, and enter what banks approve',
    run: async (argv) => (await import('./registry.ts')).recipientCommand(argv),
  },
  client: {
    usage: `add --kind bank|auditor|operator|resource_server [--bank <id>] ${identified} ${secured} [--scope <scope>] | disable --id <id>`,
    what: "register a bank's back end or its auditor, an operator, or a resource server; end one for good",
    run: async (argv) => (await import('./registry.ts')).clientCommand(argv),
  },
  auditor: {
    usage:
      'grant --bank <id> --client <id> --until <date or time> [--from <date or time>] --by <who> | revoke --bank <id> --id <grant> | list --bank <id>',
    what: "let an auditor read a bank's ledger for a time, at most 400 days; end that; or see who may",
    run: async (argv) => (await import('./auditor.ts')).auditorCommand(argv),
  },
  audit: {
    usage: 'reindex --bank <id>',
    what: 'make what auditors find entries by anew, by the brokers that run; the ledger is not touched',
    run: async (argv) => (await import('./audit.ts')).auditCommand(argv),
  },
  staff: {
    usage: 'list --bank <id> | forget --bank <id> --id <id>',
    what: "who of a bank's staff logged in to the console, under which id; or forget who an id was",
    run: async (argv) => (await import('./staff.ts')).staffCommand(argv),
  },
  revoke: {
    usage: '--consent <id>',
    what: 'end a consent, in effect when the command returns',
    run: async (argv) => (await import('./revoke.ts')).revokeCommand(argv),
  },
  erase: {
    usage: '--consent <id> [--without-bank]',
    what: 'erase the customer behind a consent: end what is active, and delete the link, its key and all under it; --without-bank goes on where the bank does not take its tokens back',
    run: async (argv) => (await import('./erase.ts')).eraseCommand(argv),
  },
  export: {
    usage: `[--to ${archive}] [--bank <id>]`,
    what: 'write what is signed and not there yet to the archive: ARCHIVE, or where --to says',
    run: async (argv) => (await import('./export.ts')).exportCommand(argv),
  },
  backup: {
    usage: `[--to ${archive}]`,
    what: 'write what a restore needs and no ledger holds, encrypted: to BACKUP, or where --to says',
    run: async (argv) => (await import('./backup.ts')).backupCommand(argv),
  },
  restore: {
    usage: `--from ${archive} --policy <file> (--bank <id> | --all) [--backup ${archive}]`,
    what: 'rebuild ledgers, and all that follows from them, in a database that has nothing of them',
    run: async (argv) => (await import('./restore.ts')).restoreCommand(argv),
  },
  witness: {
    usage:
      'keygen --name <name> --key <file> | --key <file> --policy <file> (--state <folder> | --state-url <file>) [--init] [--host <address>] [--port <port>]',
    what: 'cosign the checkpoints of the logs that a policy names (c2sp.org/tlog-witness); keygen makes its key, and says its vkey',
    run: async (argv) => (await import('./witness.ts')).witnessCommand(argv),
  },
  verify: {
    usage: `<url, folder or file> ${verifyArgumentsUsage} [--client <id> --client-key <jwk file>]`,
    what: 'check a ledger: signatures, tree, tiles, and every rule; exit 1 on any violation',
    run: async (argv) =>
      (await import('./verify.ts')).verifyCommand(argv, {
        out: process.stdout,
        err: process.stderr,
        threadModule: new URL('verify_main.js', import.meta.url),
      }),
  },
}
