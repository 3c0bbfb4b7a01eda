// What the browser remembers; all of it may be off, full or tampered with.

export function recall(key, fallback = null) {
  try {
    const text = localStorage.getItem(`sisgen.${key}`);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(`sisgen.${key}`, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function forget(key) {
  try {
    localStorage.removeItem(`sisgen.${key}`);
  } catch {
    // storage is off: there is nothing to forget
  }
}
