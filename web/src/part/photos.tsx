// Photographs and other files of a case: those that it has, small, each large by a click; and the ones that are added, with how far each is. One that
// was refused says why and stays until it goes, or is taken out.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { coordinates, dateTime } from "../lib/format.ts";
import { link } from "../lib/router.ts";
import type { Attachment } from "../lib/types.ts";
import { UPLOAD_TYPES, upload, uploadAgain, uploadDrop, uploads, type Upload } from "../lib/upload.ts";
import { dictionary } from "../lib/words.ts";
import { Dialog } from "./dialog.tsx";
import { FileButton } from "./file-button.tsx";
import { problemText } from "./states.tsx";
import "./photos.css";

const t = dictionary(
  {
    photos: "照片和附件",
    photo: "照片 {0}/{1}",
    taken: "拍摄 {0}",
    takenAt: "拍摄位置",
    previous: "上一张",
    next: "下一张",
    close: "关闭",
    original: "原图",
    missing: "文件缺失",
    elsewhere: "存放在别的系统",
    document: "文件 {0}",
    film: "视频 {0}",
    add: "添加照片",
    camera: "拍照",
    addedOnes: "待提交的照片",
    sending: "正在上传 {0}%",
    checking: "正在核对",
    there: "已上传",
    refused: "没有收下：{0}",
    otherFile: "请换一个完整的照片（JPEG、PNG、WebP）、PDF 或 MP4。",
    again: "重传",
    drop: "去掉 {0}",
    size: "{0} KB",
  },
  {
    photos: "Photographs and files",
    photo: "Photograph {0} of {1}",
    taken: "Taken {0}",
    takenAt: "where it was taken",
    previous: "Previous",
    next: "Next",
    close: "Close",
    original: "Original",
    missing: "The file is missing",
    elsewhere: "Kept by another system",
    document: "Document {0}",
    film: "Video {0}",
    add: "Add photographs",
    camera: "Take a photograph",
    addedOnes: "Photographs to be sent",
    sending: "Sending, {0}%",
    checking: "Being checked",
    there: "Sent",
    refused: "Refused: {0}",
    otherFile: "Please take a whole photograph (JPEG, PNG, WebP), PDF or MP4.",
    again: "Send again",
    drop: "Leave out {0}",
    size: "{0} KB",
  },
);

const ours = (file: Attachment): boolean => file.uri.startsWith("/api/v1/attachments/");
const isPicture = (file: Attachment): boolean => ours(file) && file.media_type.startsWith("image/");
const kilobytes = (bytes: number): string => t("size", Math.max(1, Math.round(bytes / 1024)));

/** Small; what has no small picture, and what is broken, says so in words. */
function Small({ file, name }: { file: Attachment; name: string }): JSX.Element {
  const [broken, setBroken] = useState(false);
  if (broken) return <span class="photo-words">{t("missing")}</span>;
  return <img src={file.thumbnail ? `${file.uri}/thumbnail` : file.uri} alt={name} loading="lazy" onError={() => setBroken(true)} />;
}

interface Shown {
  files: Attachment[];
  place: number;
  tell: (file: Attachment) => string;
  onPlace: (place: number | null) => void;
}

function Large({ files, place, tell, onPlace }: Shown): JSX.Element {
  const file = files[place]!;
  const [broken, setBroken] = useState(false);
  useEffect(() => setBroken(false), [file.uri]);
  const go = (step: number) => onPlace((place + step + files.length) % files.length);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") go(event.key === "ArrowLeft" ? -1 : 1);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
  return (
    <Dialog title={t("photo", place + 1, files.length)} wide onClose={() => onPlace(null)}>
      {broken ? <p class="failed">{t("missing")}</p> : <img class="photo-large" src={file.uri} alt={tell(file)} onError={() => setBroken(true)} />}
      <p class="row">
        <span>{tell(file)}</span>
        {file.taken_at && <span class="quiet">{t("taken", dateTime(file.taken_at))}</span>}
        {typeof file.lon === "number" && typeof file.lat === "number" && (
          <a href={link("map", { at: `${file.lon.toFixed(5)},${file.lat.toFixed(5)},17` })} title={coordinates(file.lon, file.lat)}>
            {t("takenAt")}
          </a>
        )}
        <a href={file.uri} target="_blank" rel="noopener noreferrer">
          {t("original")} ({kilobytes(file.size_bytes)})
        </a>
      </p>
      <div class="row">
        {files.length > 1 && (
          <>
            <button type="button" onClick={() => go(-1)}>
              ← {t("previous")}
            </button>
            <button type="button" onClick={() => go(1)}>
              {t("next")} →
            </button>
          </>
        )}
        <button type="button" class="primary" onClick={() => onPlace(null)}>
          {t("close")}
        </button>
      </div>
    </Dialog>
  );
}

/** What a case has. `tell`: who added it and in which step. */
export function Photos({ files, tell }: { files: Attachment[]; tell: (file: Attachment) => string }): JSX.Element | null {
  const [place, setPlace] = useState<number | null>(null);
  if (files.length === 0) return null;
  const pictures = files.filter(isPicture);
  return (
    <section class="photos" aria-label={t("photos")}>
      <h3>
        {t("photos")} <span class="photo-count">{files.length}</span>
      </h3>
      <ul class="photo-strip">
        {files.map((file) => {
          const at = pictures.indexOf(file);
          return (
            <li key={`${file.seq} ${file.uri}`}>
              {at >= 0 ? (
                <button type="button" class="photo" title={tell(file)} onClick={() => setPlace(at)}>
                  <Small file={file} name={`${t("photo", at + 1, pictures.length)} ${tell(file)}`} />
                </button>
              ) : ours(file) || /^https?:\/\//.test(file.uri) ? (
                <a class="photo photo-words" href={file.uri} target="_blank" rel="noopener noreferrer" title={tell(file)}>
                  {ours(file) ? t(file.media_type.startsWith("video/") ? "film" : "document", kilobytes(file.size_bytes)) : t("elsewhere")}
                </a>
              ) : (
                <span class="photo photo-words" title={file.uri}>
                  {t("elsewhere")}
                </span>
              )}
              <span class="quiet">{tell(file)}</span>
            </li>
          );
        })}
      </ul>
      {place !== null && pictures[place] !== undefined && <Large files={pictures} place={place} tell={tell} onPlace={setPlace} />}
    </section>
  );
}

function Added({ keyOf, one }: { keyOf: string; one: Upload }): JSX.Element {
  return (
    <li class={`photo-added ${one.state}`}>
      {one.picture === "" ? <span class="photo photo-words">{one.file.name}</span> : <img class="photo" src={one.picture} alt={one.file.name} />}
      {one.state === "sending" && (
        <span role="status">
          <progress max={1} value={one.sent} aria-label={one.file.name} />
          <span class="quiet">{one.sent < 1 ? t("sending", Math.floor(one.sent * 100)) : t("checking")}</span>
        </span>
      )}
      {one.state === "there" && (
        <span class="photo-there" role="status">
          ✓ {t("there")}
        </span>
      )}
      {one.state === "refused" && one.problem && (
        <span class="photo-refused" role="alert">
          <strong>{t("refused", one.problem.code === "CH046" ? one.problem.title : problemText(one.problem))}</strong> {one.problem.code === "CH046" ? t("otherFile") : one.problem.hint} <code>{one.problem.code}</code>{" "}
          <button type="button" onClick={() => uploadAgain(keyOf, one)}>
            {t("again")}
          </button>
        </span>
      )}
      <button type="button" class="plain" aria-label={t("drop", one.file.name)} title={t("drop", one.file.name)} onClick={() => uploadDrop(keyOf, one)}>
        ✕
      </button>
    </li>
  );
}

/** Takes photographs, by the phone's camera or from the disk, and sends them at once; `keyOf`: what they are kept by (lib/upload.ts). */
export function AddPhotos({ keyOf }: { keyOf: string }): JSX.Element {
  const rows = uploads(keyOf);
  const take = (files: readonly File[]) => upload(keyOf, files);
  return (
    <div class="photo-adding">
      <div class="row">
        <FileButton words={t("camera")} accept="image/*" className="photo-camera" camera onFiles={take} />
        <FileButton words={t("add")} accept={UPLOAD_TYPES} multiple testid="photos" onFiles={take} />
      </div>
      {rows.length > 0 && (
        <ul class="photo-list" aria-label={t("addedOnes")}>
          {rows.map((one) => (
            <Added key={one.id} keyOf={keyOf} one={one} />
          ))}
        </ul>
      )}
    </div>
  );
}
