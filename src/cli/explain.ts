import { RotationUnderWay } from '../authorization/rotate_keys.ts'
import { DirectoryInvalid } from '../banks/directory.ts'
import { LedgerClosed, ReleasesStopped } from '../broker/append.ts'
import { ApprovalRejected } from '../broker/approve_recipient.ts'
import { BankUnavailable } from '../broker/bank_port.ts'
import { ExportRefused } from '../broker/export_ledger.ts'
import { AuditNotGranted } from '../broker/grant_audit.ts'
import { TokensNotEnded } from '../broker/erase_link.ts'
import { LedgerNotOpened } from '../broker/open_ledger.ts'
import { ConfigError } from '../config.ts'
import { Refusal } from '../consent/refusal.ts'
import { CannotStart } from '../cannot_start.ts'
import { ArchiveConflict, ArchiveUnavailable, ArchiveUnfit } from '../storage/archive.ts'
import { EntriesLost } from '../storage/lost_entries.ts'
import { NotDetached } from '../storage/detach.ts'
import { PartChanged } from '../storage/sealed_parts.ts'
import { StateUnfit } from '../storage/state_unfit.ts'
import { BackupUnusable } from '../recovery/backup.ts'
import { RestoreRefused } from '../recovery/restore_ledger.ts'
import { SourceError } from '../verifier/source.ts'

/** What a person can mend is said in words; anything else is a bug and shows where. */
const mendable = [
  ConfigError,
  CannotStart,
  LedgerNotOpened,
  ApprovalRejected,
  AuditNotGranted,
  DirectoryInvalid,
  RotationUnderWay,
  TokensNotEnded,
  Refusal,
  BankUnavailable,
  ArchiveConflict,
  ArchiveUnavailable,
  ArchiveUnfit,
  EntriesLost,
  ExportRefused,
  NotDetached,
  LedgerClosed,
  ReleasesStopped,
  RestoreRefused,
  BackupUnusable,
  PartChanged,
  StateUnfit,
  SourceError,
]

/** What is said of an error that a command ended with. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const said = mendable.some((kind) => error instanceof kind)
  return said ? error.message : (error.stack ?? error.message)
}
