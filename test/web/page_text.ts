const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', amp: '&' }

/** The text that a piece of HTML shows: blocks and list items as lines, a blank line before every heading but the first. */
export function textOf(html: string): string {
  return html
    .replace(/<li>/g, '- ')
    .replace(/(?!^)<h2>/g, '\n')
    .replace(/<\/(h2|p|li)>/g, '\n')
    .replace(/<[^>]*>/g, '')
    .replace(/&(lt|gt|quot|amp);/g, (_, name: string) => entities[name] ?? '')
}
