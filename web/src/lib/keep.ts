// What a browser keeps for its user: language, theme, base map. Never anything of the county. A browser may forbid it: then nothing is kept.
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`cityhub.${key}`);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`cityhub.${key}`, value);
  } catch {
    // Not kept: the page works without.
  }
}
