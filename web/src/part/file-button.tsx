// A button that takes files. The browser's own speaks the browser's language: here it lies unseen above our words, and stays what keys and screen
// readers reach.
import type { JSX } from "preact";

interface Properties {
  words: string;
  accept: string;
  onFiles: (files: readonly File[]) => void;
  multiple?: boolean;
  /** The phone's camera instead of its files. */
  camera?: boolean;
  disabled?: boolean;
  className?: string;
  testid?: string;
}

export function FileButton({ words, accept, onFiles, multiple = false, camera = false, disabled = false, className = "", testid }: Properties): JSX.Element {
  const onChange = (event: { currentTarget: HTMLInputElement }) => {
    onFiles([...(event.currentTarget.files ?? [])]);
    event.currentTarget.value = ""; // the same file, corrected, is a change again
  };
  return (
    <label class={`file-choose ${className}`}>
      <input type="file" title={words} accept={accept} multiple={multiple} disabled={disabled} data-testid={testid} {...(camera && { capture: "environment" })} onChange={onChange} />
      <span>{words}</span>
    </label>
  );
}
