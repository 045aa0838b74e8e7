import { classes, isClass } from '../../consent/class.ts'
import { isCluster, clusters } from '../../consent/cluster.ts'

/** A value as people read it, beside the word that entries use. */
export function inWords(value: string): string {
  if (isClass(value)) return capital(classes[value].label.replace('the ', ''))
  if (isCluster(value)) return clusters[value].label
  if (value.startsWith('https://')) return shortIri(value)
  return capital(value.replaceAll(/[_.]/g, ' '))
}

/** `dpv:CustomerCare`, of a purpose's IRI: what is left when the vocabulary's address is a prefix. */
export function shortIri(iri: string): string {
  for (const [prefix, base] of Object.entries(prefixes))
    if (iri.startsWith(base)) return `${prefix}:${iri.slice(base.length)}`
  return iri
}

const prefixes = {
  dpv: 'https://w3id.org/dpv#',
  fin: 'https://w3id.org/dpv/sector/finance#',
} as const

const capital = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1)
