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

/** Without the ' that makes a cell text which a spreadsheet would calculate; numbers have none (as text_is_formula in hub/base/text.c). */
const bare = (field: string): string => field.replace(/^'(?=[\t\r\n＝＋－＠]|[=@][^]|[+-](?![0-9.]+(e[+-]?[0-9]+)?$)[^])/i, "");

/** How many fields there are up to the last one that is not blank. */
function filled(fields: string[]): number {
  let count = fields.length;
  while (count > 0 && fields[count - 1]!.trim() === "") count--;
  return count;
}

/** All records with the line that each begins on; rows without any value, as spreadsheets leave them behind a table, are none. */
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
    if (filled(fields) > 0) all.push({ line: began, fields });
  }
  return all;
}

/** Throws CsvFault. Columns without a name, as spreadsheets leave them beside a table, are none unless they have a value. */
export function readCsv(text: string): CsvRow[] {
  const [header, ...rows] = records(text.replace(/^\ufeff/, ""));
  if (header === undefined) throw new CsvFault(1, "empty");
  const columns = header.fields.slice(0, filled(header.fields)).map((column) => column.trim());
  return rows.map(({ line, fields }) => {
    if (fields.length < columns.length || filled(fields) > columns.length) throw new CsvFault(line, "columns");
    return { ...Object.fromEntries(columns.map((column, place) => [column, bare(fields[place]!)])), line };
  });
}
