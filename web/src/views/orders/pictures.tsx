// Photographs that go with an order's answer: those of its cases that the hub keeps; each is ticked.
import type { JSX } from "preact";
import { useAsk } from "../../lib/api.ts";
import type { Attachment } from "../../lib/types.ts";
import { Failed } from "../../part/states.tsx";
import type { WholeOrder } from "./order-types.ts";
import { t } from "./words.ts";

const OURS = "/api/v1/attachments/";

interface Chosen {
  chosen: string[];
  onChosen: (chosen: string[]) => void;
}

function OfCase({ number, chosen, onChosen }: Chosen & { number: string }): JSX.Element | null {
  const asked = useAsk<{ attachments: Attachment[] }>(`cases/${encodeURIComponent(number)}`);
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : null;
  const kept = asked.data.attachments.filter(({ uri }) => uri.startsWith(OURS));
  if (kept.length === 0) return <p class="quiet">{t("noPictures", number)}</p>;
  return (
    <ul class="orders-files">
      {kept.map((file, place) => {
        const hash = file.uri.slice(OURS.length);
        const name = t("picture", number, place + 1);
        return (
          <li key={hash}>
            <label class="orders-pick">
              <input
                type="checkbox"
                name="attachments"
                value={hash}
                checked={chosen.includes(hash)}
                onChange={(event) => onChosen(event.currentTarget.checked ? [...chosen, hash] : chosen.filter((one) => one !== hash))}
              />
              {file.thumbnail || file.media_type.startsWith("image/") ? <img src={file.thumbnail ? `${file.uri}/thumbnail` : file.uri} alt={name} loading="lazy" /> : name}
            </label>
          </li>
        );
      })}
    </ul>
  );
}

export function Pictures({ order, chosen, onChosen }: Chosen & { order: WholeOrder }): JSX.Element | null {
  if (order.cases.length === 0) return null;
  return (
    <fieldset class="orders-pictures">
      <legend>{t("pictures")}</legend>
      {order.cases.map((one) => (
        <OfCase key={one.case} number={one.case} chosen={chosen} onChosen={onChosen} />
      ))}
    </fieldset>
  );
}
