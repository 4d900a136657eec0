// Single keys of the desk: only while nobody types, and never with Ctrl, Alt or Meta, which are the browser's.
import { useLayoutEffect, useRef } from "preact/hooks";

const types = (target: EventTarget | null): boolean => target instanceof Element && target.closest("input, textarea, select, dialog, [contenteditable]") !== null;

/** `keys` as of the last drawing; a key is KeyboardEvent.key. */
export function useKeys(keys: Record<string, (() => void) | undefined>): void {
  const latest = useRef(keys);
  latest.current = keys;
  // Heard from the moment at which the buttons can be seen, hence not useEffect: who works by keys alone is that fast.
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || types(event.target)) return;
      const called = latest.current[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (called === undefined) return;
      event.preventDefault();
      called();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}
