/** What no ledger can show. */
export const unproven = [
  'What a recipient does with data after a lawful release.',
  "What an in-app browser on the customer's device sees.",
  'That a class is honest, beyond being signed by the bank, entered in the ledger, and in force from a known entry on.',
  "That the bank's key is the bank's: the first entry names it. Ask the bank, and give it with --bank-key.",
  'That the times of entries are right: they only never go back. Cosignatures bound them from outside.',
  'That data arrived: the totals count what was authorised.',
  'Anything about entries after this checkpoint, or that no witness has cosigned yet: those might still be told otherwise to others.',
  'That text placed in a Messenger thread stays with the customer: it is disclosed to Meta, and counted as a release to the messaging platform.',
] as const
