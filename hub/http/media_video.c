/* media_video.c: films as boxes within boxes (ISO/IEC 14496-12). Must never move a box: the tables of samples name
 * places in the file. */
#include "hub/http/media_video.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hub/base/count.h"

static uint64_t big64(const unsigned char *b) {
    return (uint64_t)media_big32(b) << 32 | media_big32(b + 4);
}

struct box {
    const unsigned char *name;
    size_t begin, content, end; /* places in the file */
};

/* The box at `at` of what ends at `end`; NULL or what is wrong. */
static const char *box_at(const struct media_passage *passage, size_t at, size_t end, struct box *box) {
    const unsigned char *bytes = passage->bytes + at;
    if (end - at < 8) {
        return media_ends_early;
    }
    uint64_t size = media_big32(bytes);
    size_t head = 8;
    if (size == 1) {
        head = 16;
        size = end - at < head ? 0 : big64(bytes + 8);
    } else if (size == 0) { /* to the end of the file */
        size = end == passage->length ? end - at : 0;
    }
    if (size < head || size > end - at) {
        return media_ends_early;
    }
    *box = (struct box){.name = bytes + 4, .begin = at, .content = at + head, .end = at + (size_t)size};
    return NULL;
}

/* ISO 6709: +39.1234-077.1234+010.0/ */
static void video_place(const char *text, size_t length, struct media_facts *facts) {
    char copy[48], *end;
    snprintf(copy, sizeof copy, "%.*s", length < sizeof copy ? (int)length : (int)sizeof copy - 1, text);
    double lat = strtod(copy, &end);
    if (end == copy || (*end != '+' && *end != '-')) {
        return;
    }
    const char *second = end;
    double lon = strtod(second, &end);
    if (end != second && fabs(lat) <= 90 && fabs(lon) <= 180 && (lat != 0 || lon != 0)) {
        facts->placed = true;
        facts->lat = lat;
        facts->lon = lon;
    }
}

/* The first box of this name in what begins and ends there. */
static bool box_in(const struct media_passage *passage, size_t begin, size_t end, const char *name, struct box *box) {
    for (size_t at = begin; at < end && box_at(passage, at, end, box) == NULL; at = box->end) {
        if (memcmp(box->name, name, 4) == 0) {
            return true;
        }
    }
    return false;
}

/* The box to which the names lead, four letters each. */
static bool box_of(const struct media_passage *passage, const struct box *from, const char *path, struct box *box) {
    *box = *from;
    for (; *path != '\0'; path += 4) {
        if (!box_in(passage, box->content, box->end, path, box)) {
            return false;
        }
    }
    return true;
}

/* 3GPP TS 26.244, 8.2: behind version, language, a name and a role stand longitude and latitude, in 65536ths. */
static void video_3gpp_place(const unsigned char *content, size_t length, struct media_facts *facts) {
    enum { HEAD = 6, AFTER = 1 + 8 };
    bool wide = length > HEAD + 1 && (memcmp(content + HEAD, "\xFE\xFF", 2) == 0); /* UTF-16 */
    size_t at = HEAD, step = wide ? 2 : 1;
    while (at + step <= length && (content[at] != 0 || (wide && content[at + 1] != 0))) {
        at += step;
    }
    at += step;
    if (at + AFTER <= length) {
        double lon = (int32_t)media_big32(content + at + 1) / 65536.0,
               lat = (int32_t)media_big32(content + at + 5) / 65536.0;
        if (fabs(lat) <= 90 && fabs(lon) <= 180 && (lat != 0 || lon != 0)) {
            facts->placed = true;
            facts->lat = lat;
            facts->lon = lon;
        }
    }
}

/* What Apple writes: a list of keys, and another of their values by the keys' numbers. */
static void video_keyed_place(const struct media_passage *passage, const struct box *meta) {
    static const char wanted[] = "mdtacom.apple.quicktime.location.ISO6709";
    struct box keys, values, item, data;
    /* QuickTime's box begins with its boxes, ISO's with four bytes of version. */
    size_t head = meta->end - meta->content >= 8 && memcmp(passage->bytes + meta->content + 4, "hdlr", 4) == 0 ? 0 : 4;
    if (meta->end - meta->content < head || !box_in(passage, meta->content + head, meta->end, "keys", &keys) ||
        !box_in(passage, meta->content + head, meta->end, "ilst", &values)) {
        return;
    }
    uint32_t number = 1;
    for (size_t at = keys.content + 8; at < keys.end && box_at(passage, at, keys.end, &item) == NULL; at = item.end) {
        if (item.end - item.begin == 4 + sizeof wanted - 1 && memcmp(item.name, wanted, sizeof wanted - 1) == 0) {
            const char name[] = {(char)(number >> 24), (char)(number >> 16), (char)(number >> 8), (char)number, 0};
            if (box_in(passage, values.content, values.end, name, &item) &&
                box_in(passage, item.content, item.end, "data", &data) && data.end - data.content > 8) {
                video_place((const char *)passage->bytes + data.content + 8, data.end - data.content - 8,
                            passage->facts);
            }
            return;
        }
        number++;
    }
}

/* What stands in user data and descriptions: box (c)xyz holds the place, behind a length and a language. */
static void video_described(const struct media_passage *passage, const struct box *data) {
    struct box box;
    if (memcmp(data->name, "meta", 4) == 0) {
        video_keyed_place(passage, data);
    } else if (memcmp(data->name, "udta", 4) == 0) {
        for (size_t at = data->content; at < data->end && box_at(passage, at, data->end, &box) == NULL; at = box.end) {
            const unsigned char *content = passage->bytes + box.content;
            size_t length = box.end - box.content;
            if (memcmp(box.name, "\xA9xyz", 4) == 0 && length > 4) {
                video_place((const char *)content + 4, length - 4, passage->facts);
            } else if (memcmp(box.name, "loci", 4) == 0) {
                video_3gpp_place(content, length, passage->facts);
            } else if (memcmp(box.name, "meta", 4) == 0) {
                video_keyed_place(passage, &box);
            }
        }
    }
}

static void video_time(const struct media_passage *passage, const struct box *box) {
    enum { SECONDS_1904_TO_1970 = 2082844800 };
    const unsigned char *content = passage->bytes + box->content;
    size_t length = box->end - box->content;
    uint64_t since = length >= 12 && content[0] == 1 ? big64(content + 4) : length >= 8 ? media_big32(content + 4) : 0;
    time_t moment = (time_t)(since - SECONDS_1904_TO_1970);
    struct tm parts;
    /* Recorders without a clock write 0; no video is older than the format, nor from a far future. */
    if (since > SECONDS_1904_TO_1970 && since < (uint64_t)SECONDS_1904_TO_1970 + UINT32_MAX &&
        gmtime_r(&moment, &parts) != NULL) {
        strftime(passage->facts->taken_at, sizeof passage->facts->taken_at, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
}

/* What a box held, as a free one of the same size: the places of all others stay. */
static void video_blank(struct media_passage *passage, const struct box *box) {
    static const unsigned char zeros[4096];
    media_give(passage, passage->bytes + box->begin, 4);
    media_give(passage, "free", 4);
    media_give(passage, passage->bytes + box->begin + 8, box->content - box->begin - 8);
    for (size_t left = box->end - box->content; left > 0 && !passage->failed;) {
        size_t piece = left < sizeof zeros ? left : sizeof zeros;
        media_give(passage, zeros, piece);
        left -= piece;
    }
}

/* Whether a track is of pictures or sounds. Others tell of the recording second by second: places, what the camera did,
 * as subtitles or as data of a maker. */
static bool video_shows(const struct media_passage *passage, const struct box *track) {
    static const char *const shown[] = {"vide", "soun"};
    struct box handler;
    return box_of(passage, track, "mdiahdlr", &handler) && handler.end - handler.content >= 12 &&
           media_is_one_of(passage->bytes + handler.content + 8, shown, COUNT_OF(shown));
}

/* A table of a track: behind `head` bytes, of which the last four say how many rows it has. */
struct rows {
    const unsigned char *first;
    size_t count;
};

static bool rows_of(const struct media_passage *passage, const struct box *tables, const char *name, size_t head,
                    size_t row, struct rows *rows) {
    struct box box;
    if (!box_in(passage, tables->content, tables->end, name, &box) || box.end - box.content < head) {
        return false;
    }
    rows->first = passage->bytes + box.content + head;
    rows->count = media_big32(rows->first - 4);
    return rows->count <= (box.end - box.content - head) / row;
}

enum { TRACKS_MAX = 64 /* whose fragments are known; of a film from a phone there are some five */ };

/* A film whose tracks are known, where samples of those that do not stay were found last, and what was overwritten. */
struct film {
    struct media_passage *passage;
    struct track {
        uint32_t number, usual; /* size of a sample, if nothing else is said */
        bool shown;
    } tracks[TRACKS_MAX];
    size_t track_count;
    struct box samples;
    uint64_t wiped;
    unsigned searched; /* boxes */
    unsigned films;    /* boxes that are one */
};

static bool has_samples(const struct film *film, uint64_t at) {
    const struct box *samples = &film->samples;
    return samples->name != NULL && memcmp(samples->name, "mdat", 4) == 0 && at >= samples->content &&
           at < samples->end;
}

/* Looks for the box of samples that holds a place, from the last one on and then from the first: films have theirs in
 * order. False: no film needs so many steps. */
static bool find_samples(struct film *film, uint64_t place) {
    enum { SEARCHED_MAX = 1 << 20 };
    const struct media_passage *passage = film->passage;
    struct box *samples = &film->samples;
    size_t begun = samples->name == NULL ? 0 : samples->begin;
    for (size_t at = begun, turn = 0; turn < 2 && !has_samples(film, place);) {
        if (at < passage->length && box_at(passage, at, passage->length, samples) == NULL) {
            at = samples->end;
        } else {
            at = 0;
            turn++;
        }
        if (++film->searched > SEARCHED_MAX) {
            return false;
        }
    }
    return true;
}

/* Overwrites what stands there, as far as it is in a box of samples. False: more than the film has. */
static bool wipe(struct film *film, uint64_t from, uint64_t bytes) {
    const struct media_passage *passage = film->passage;
    if (!find_samples(film, from)) {
        return false;
    }
    if (has_samples(film, from)) {
        size_t left = film->samples.end - (size_t)from, length = bytes < left ? (size_t)bytes : left;
        memset(passage->bytes + from, 0, length);
        film->wiped += length;
    }
    return film->wiped <= passage->length;
}

static const char strange_track[] = "a track that is neither pictures nor sounds has tables that do not fit";

/* Overwrites the samples of a track: chunk by chunk, each of as many samples as the runs say. */
static const char *wipe_track(struct film *film, const struct box *track) {
    const struct media_passage *passage = film->passage;
    struct box tables, sizes;
    struct rows chunks, runs, each = {0};
    if (!box_of(passage, track, "mdiaminfstbl", &tables)) {
        return NULL;
    }
    bool wide = !rows_of(passage, &tables, "stco", 8, 4, &chunks);
    if ((wide && !rows_of(passage, &tables, "co64", 8, 8, &chunks)) ||
        !rows_of(passage, &tables, "stsc", 8, 12, &runs) ||
        !box_in(passage, tables.content, tables.end, "stsz", &sizes) || sizes.end - sizes.content < 12) {
        return strange_track;
    }
    uint64_t same = media_big32(passage->bytes + sizes.content + 4);
    if (same == 0 && !rows_of(passage, &tables, "stsz", 12, 4, &each)) {
        return strange_track;
    }
    size_t run = 0, sample = 0;
    for (size_t chunk = 0; chunk < chunks.count; chunk++) {
        while (run + 1 < runs.count && media_big32(runs.first + 12 * (run + 1)) <= chunk + 1) {
            run++;
        }
        uint64_t count = runs.count == 0 ? 0 : media_big32(runs.first + 12 * run + 4), bytes = same * count;
        if (same == 0) {
            if (count > each.count - sample) {
                return strange_track;
            }
            for (size_t end = sample + (size_t)count; sample < end; sample++) {
                bytes += media_big32(each.first + 4 * sample);
            }
        }
        if (!wipe(film, wide ? big64(chunks.first + 8 * chunk) : media_big32(chunks.first + 4 * chunk), bytes)) {
            return strange_track;
        }
    }
    return NULL;
}

/* ---- films in fragments: each has runs of samples of its tracks (8.8) ---- */

/* The track of a part of a fragment; one that the film does not have is not shown. */
static struct track track_of(const struct film *film, const struct box *part) {
    struct box head;
    uint32_t number = box_of(film->passage, part, "tfhd", &head) && head.end - head.content >= 8
                          ? media_big32(film->passage->bytes + head.content + 4)
                          : 0;
    for (size_t i = 0; i < film->track_count; i++) {
        if (film->tracks[i].number == number) {
            return film->tracks[i];
        }
    }
    return (struct track){0};
}

/* The next 32 bits of a box, if its flags say that they are there; else 0. */
static uint32_t flagged32(const unsigned char *content, size_t length, size_t *at, bool there) {
    uint32_t value = there && *at + 4 <= length ? media_big32(content + *at) : 0;
    *at += there ? 4 : 0;
    return value;
}

/* A run's samples lie one behind the other, from `place` on, which then is behind them. */
static const char *wipe_run(struct film *film, const struct box *run, uint64_t base, uint32_t size, bool shown,
                            uint64_t *place) {
    enum { OFFSET = 0x1, FIRST_FLAGS = 0x4, DURATION = 0x100, SIZE = 0x200, FLAGS = 0x400, COMPOSITION = 0x800 };
    const unsigned char *content = film->passage->bytes + run->content;
    size_t length = run->end - run->content, at = 8;
    if (length < at) {
        return strange_track;
    }
    uint32_t flags = media_big32(content) & 0xFFFFFF, count = media_big32(content + 4);
    uint32_t offset = flagged32(content, length, &at, flags & OFFSET);
    flagged32(content, length, &at, flags & FIRST_FLAGS);
    size_t row = 0, sized = flags & DURATION ? 4 : 0;
    for (unsigned bit = DURATION; bit <= COMPOSITION; bit <<= 1) {
        row += flags & bit ? 4 : 0;
    }
    if (at > length || (row > 0 && count > (length - at) / row)) {
        return strange_track;
    }
    uint64_t bytes = flags & SIZE ? 0 : (uint64_t)size * count;
    for (uint32_t i = 0; flags & SIZE && i < count; i++) {
        bytes += media_big32(content + at + row * i + sized);
    }
    uint64_t from = flags & OFFSET ? base + (uint64_t)(int64_t)(int32_t)offset : *place;
    *place = from + bytes;
    return shown || bytes == 0 || wipe(film, from, bytes) ? NULL : strange_track;
}

/* A track's part of a fragment. `place`: behind the samples of the part before it. */
static const char *wipe_part(struct film *film, const struct box *fragment, const struct box *part, uint64_t *place) {
    enum { BASE = 0x1, DESCRIPTION = 0x2, DURATION = 0x8, SIZE = 0x10, BASE_IS_FRAGMENT = 0x20000 };
    const struct media_passage *passage = film->passage;
    struct box head, run;
    if (!box_of(passage, part, "tfhd", &head) || head.end - head.content < 8) {
        return strange_track;
    }
    const unsigned char *content = passage->bytes + head.content;
    size_t length = head.end - head.content, at = 8;
    uint32_t flags = media_big32(content) & 0xFFFFFF;
    uint64_t high = flagged32(content, length, &at, flags & BASE), low = flagged32(content, length, &at, flags & BASE);
    uint64_t base = flags & BASE ? high << 32 | low : flags & BASE_IS_FRAGMENT ? fragment->begin : *place;
    flagged32(content, length, &at, flags & DESCRIPTION);
    flagged32(content, length, &at, flags & DURATION);
    uint32_t size = flagged32(content, length, &at, flags & SIZE);
    struct track track = track_of(film, part);
    size = flags & SIZE ? size : track.usual;
    *place = base;
    for (at = part->content; at < part->end && box_at(passage, at, part->end, &run) == NULL; at = run.end) {
        const char *flaw =
            memcmp(run.name, "trun", 4) == 0 ? wipe_run(film, &run, base, size, track.shown, place) : NULL;
        if (flaw != NULL) {
            return flaw;
        }
    }
    return NULL;
}

static const char *wipe_fragment(struct film *film, const struct box *fragment) {
    struct box part;
    uint64_t place = fragment->begin;
    for (size_t at = fragment->content; at < fragment->end && box_at(film->passage, at, fragment->end, &part) == NULL;
         at = part.end) {
        const char *flaw = memcmp(part.name, "traf", 4) == 0 ? wipe_part(film, fragment, &part, &place) : NULL;
        if (flaw != NULL) {
            return flaw;
        }
    }
    return NULL;
}

/* What a film says of its tracks: in the head of each, and for its fragments. */
static void know_tracks(struct film *film, const struct box *movie) {
    const struct media_passage *passage = film->passage;
    struct box box, head, usual;
    for (size_t at = movie->content; at < movie->end && box_at(passage, at, movie->end, &box) == NULL; at = box.end) {
        if (memcmp(box.name, "trak", 4) == 0 && film->track_count < TRACKS_MAX &&
            box_of(passage, &box, "tkhd", &head) && head.end - head.content >= 24) {
            const unsigned char *content = passage->bytes + head.content;
            film->tracks[film->track_count++] = (struct track){
                .number = media_big32(content + (*content == 1 ? 20 : 12)), .shown = video_shows(passage, &box)};
        }
    }
    if (!box_of(passage, movie, "mvex", &box)) {
        return;
    }
    for (size_t at = box.content; at < box.end && box_at(passage, at, box.end, &usual) == NULL; at = usual.end) {
        const unsigned char *content = passage->bytes + usual.content;
        for (size_t i = 0; i < film->track_count; i++) {
            if (memcmp(usual.name, "trex", 4) == 0 && usual.end - usual.content >= 20 &&
                film->tracks[i].number == media_big32(content + 4)) {
                film->tracks[i].usual = media_big32(content + 16);
            }
        }
    }
}

static const char *wipe_tracks(struct film *film, const struct box *movie) {
    const struct media_passage *passage = film->passage;
    struct box track;
    const char *flaw = NULL;
    for (size_t at = movie->content; flaw == NULL && at < movie->end && box_at(passage, at, movie->end, &track) == NULL;
         at = track.end) {
        if (memcmp(track.name, "trak", 4) == 0 && !video_shows(passage, &track)) {
            flaw = wipe_track(film, &track);
        }
    }
    return flaw;
}

/* Overwrites the samples of all tracks that do not stay. */
static const char *video_wipe_all(struct film *film) {
    const struct media_passage *passage = film->passage;
    struct box box;
    if (!box_in(passage, 0, passage->length, "moov", &box)) {
        return NULL;
    }
    know_tracks(film, &box);
    const char *flaw = wipe_tracks(film, &box);
    for (size_t at = 0; flaw == NULL && at < passage->length && box_at(passage, at, passage->length, &box) == NULL;
         at = box.end) {
        flaw = memcmp(box.name, "moof", 4) == 0 ? wipe_fragment(film, &box) : NULL;
    }
    return flaw;
}

/* What stays of a film: in each box that is opened the names of those that are opened in turn, and of those that stay
 * as they are. All others may describe the recording. */
static const struct level {
    const char *name, *opened, *kept;
} levels[] = {
    {"file", "moovmoof", "ftypstypmdatmfrasidxssixpdin"},
    {"moov", "trak", "mvhdmvexiods"},
    {"trak", "mdia", "tkhdedtstreftapt"},
    {"mdia", "minf", "mdhdhdlrelng"},
    {"minf", "stbl", "vmhdsmhdhmhdnmhdgmhdhdlrdinf"},
    {"stbl", "", "stsdsttscttscslgstscstszstz2stcoco64stssstshstpssdtpsbgpsgpdsubssaizsaiopadb"},
    {"moof", "traf", "mfhd"},
    {"traf", "", "tfhdtfdttrunsdtpsbgpsgpdsubssaizsaiosenc"},
};

static bool is_listed(const unsigned char *name, const char *list) {
    for (; *list != '\0'; list += 4) {
        if (memcmp(name, list, 4) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a box is of a track that does not stay. */
static bool is_hidden(const struct film *film, const struct box *box) {
    return (memcmp(box->name, "trak", 4) == 0 && !video_shows(film->passage, box)) ||
           (memcmp(box->name, "traf", 4) == 0 && !track_of(film, box).shown);
}

static const char *video_boxes(struct film *film, size_t begin, size_t end, const void *within) {
    struct media_passage *passage = film->passage;
    const struct level *level = levels;
    while (memcmp(level->name, within, 4) != 0) {
        level++;
    }
    struct box box;
    for (size_t at = begin; at < end; at = box.end) {
        const char *flaw = box_at(passage, at, end, &box);
        if (flaw != NULL) {
            return flaw;
        }
        if (is_listed(box.name, level->opened) && !is_hidden(film, &box)) {
            film->films += level == levels && memcmp(box.name, "moov", 4) == 0;
            media_give(passage, passage->bytes + box.begin, box.content - box.begin);
            flaw = video_boxes(film, box.content, box.end, box.name);
            if (flaw != NULL) {
                return flaw;
            }
        } else if (is_listed(box.name, level->kept)) {
            if (memcmp(box.name, "mvhd", 4) == 0) {
                video_time(passage, &box);
            }
            media_give(passage, passage->bytes + box.begin, box.end - box.begin);
        } else {
            video_described(passage, &box);
            video_blank(passage, &box);
        }
    }
    return NULL;
}

const char *media_video_strip(struct media_passage *passage) {
    struct film film = {.passage = passage};
    const char *flaw = video_wipe_all(&film);
    flaw = flaw != NULL ? flaw : video_boxes(&film, 0, passage->length, levels->name);
    return flaw != NULL ? flaw : film.films == 1 ? NULL : "an MP4 without a film";
}

bool media_video_is(const unsigned char *bytes, size_t length) {
    static const char *const brands[] = {"isom", "iso2", "iso4", "iso5", "iso6", "mp41", "mp42", "avc1",
                                         "M4V ", "dash", "3gp4", "3gp5", "3gp6", "MSNV", "qt  "};
    return length >= 16 && memcmp(bytes + 4, "ftyp", 4) == 0 && media_is_one_of(bytes + 8, brands, COUNT_OF(brands));
}
