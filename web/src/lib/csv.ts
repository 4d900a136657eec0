// CSV as spreadsheets write it (RFC 4180, UTF-8 with or without its mark): rows by their header, each with the line that it begins on.

export interface CsvRow {
  line: number;
  [column: string]: string | number;
}

/** Where it stops being CSV. */
export class CsvFault extends Error {
  constructor(readonly line: number, readonly fault: "quote" | "columns" | "empty") {
    super(`line ${line}: ${fault}`);
  }
}

/** All records with the line that each begins on; blank lines are none. */
function records(text: string): { line: number; fields: string[] }[] {
  const all: { line: number; fields: string[] }[] = [];
  let [place, line] = [0, 1];
  while (place < text.length) {
    const began = line;
    const fields: string[] = [];
    for (let more = true; more; ) {
      let field = "";
      if (text[place] === '"') {
        for (place++; ; place++) {
          if (place >= text.length) throw new CsvFault(began, "quote");
          if (text[place] === "\n") line++;
          if (text[place] !== '"') field += text[place]!;
          else if (text[place + 1] === '"') field += text[++place]!;
          else break;
        }
        place++;
        if (place < text.length && !",\r\n".includes(text[place]!)) throw new CsvFault(line, "quote");
      } else {
        const from = place;
        while (place < text.length && !",\r\n".includes(text[place]!)) place++;
        field = text.slice(from, place);
      }
      fields.push(field);
      more = text[place] === ",";
      if (more) place++;
    }
    if (text[place] === "\r") place++;
    if (text[place] === "\n") place++;
    line++;
    if (fields.length > 1 || fields[0] !== "") all.push({ line: began, fields });
  }
  return all;
}

/** Throws CsvFault. */
export function readCsv(text: string): CsvRow[] {
  const [header, ...rows] = records(text.replace(/^\ufeff/, ""));
  if (header === undefined) throw new CsvFault(1, "empty");
  return rows.map(({ line, fields }) => {
    if (fields.length !== header.fields.length) throw new CsvFault(line, "columns");
    return { ...Object.fromEntries(header.fields.map((column, place) => [column.trim(), fields[place]!])), line };
  });
}
