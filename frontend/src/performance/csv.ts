export type Cell = string | number | null | undefined;

/**
 * Rows as CSV. A text that begins like a formula gets an apostrophe, because spreadsheets would
 * run a student's name.
 */
export function csv(rows: readonly (readonly Cell[])[]): string {
  return `${rows.map((row) => row.map(cell).join(',')).join('\r\n')}\r\n`;
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Lines that look like a table pasted from a spreadsheet become CSV; a CSV stays as it is. */
export function pasted(text: string): string {
  const lines = text.replace(/\r\n?/g, '\n').trim().split('\n');
  if (!lines[0]?.includes('\t')) return `${lines.join('\n')}\n`;
  return csv(lines.map((line) => line.split('\t').map((value) => value.trim()))).replaceAll('\r\n', '\n');
}

/** Gives the browser a file to save. */
export function download(name: string, content: string, type: string): void {
  // The mark makes spreadsheets read the file as UTF-8.
  const url = URL.createObjectURL(new Blob(['\uFEFF', content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
