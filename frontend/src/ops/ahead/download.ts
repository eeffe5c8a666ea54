/** Gives what a page shows as a file. */
export function save(name: string, text: string, kind: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: kind }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // The browser has the file's bytes before the next turn of its loop; old ones ask for a moment.
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
