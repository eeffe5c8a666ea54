/** A command for a shell, with the data directory that it works on where it would not take that one by itself. */
export function placed(command: string, data: string): string {
  if (data === '') return command;
  return `${command} --data ${/^[\w@%+=:,./-]+$/.test(data) ? data : `'${data.replaceAll("'", `'\\''`)}'`}`;
}
