/* media_pdf.c: PDF as a row of tokens and streams, without its table of places: what is overwritten keeps its length.
 * Must never touch a byte of a signed document: its signature would be void. */
#include "hub/http/media_pdf.h"

enum { INFOS_MAX = 32 /* of the revisions of a file; as a rule they are one object */ };

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NAME, TOKEN_STRING, TOKEN_SIGN };

struct token {
    enum token_kind kind;
    size_t begin, end;
};

/* What has been seen of the file, and of the object that is read. */
struct document {
    unsigned char *bytes;
    size_t length, at;
    struct token last[4]; /* the newest first */
    unsigned long infos[INFOS_MAX];
    size_t info_count;
    bool is_signed;
    struct object {
        unsigned long number;
        bool metadata, filtered;
    } object;
};

static bool is_blank(unsigned char byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r' && byte != '\v') || byte == '\0';
}

static bool is_regular(unsigned char byte) {
    return !is_blank(byte) && strchr("()<>[]{}/%", byte) == NULL;
}

/* Behind a text in parentheses, which may have others in it. */
static size_t text_end(const struct document *document, size_t at) {
    unsigned depth = 0;
    for (; at < document->length; at++) {
        unsigned char byte = document->bytes[at];
        if (byte == '\\') {
            at++;
        } else if (byte == '(') {
            depth++;
        } else if (byte == ')' && --depth == 0) {
            return at + 1;
        }
    }
    return document->length;
}

static size_t hex_end(const struct document *document, size_t at) {
    const unsigned char *end = memchr(document->bytes + at, '>', document->length - at);
    return end == NULL ? document->length : (size_t)(end - document->bytes) + 1;
}

static void skip_blanks(struct document *document) {
    for (; document->at < document->length; document->at++) {
        if (document->bytes[document->at] == '%') { /* a comment, to the end of its line */
            while (document->at + 1 < document->length && document->bytes[document->at] != '\n' &&
                   document->bytes[document->at] != '\r') {
                document->at++;
            }
        } else if (!is_blank(document->bytes[document->at])) {
            return;
        }
    }
}

static enum token_kind next_token(struct document *document) {
    skip_blanks(document);
    size_t begin = document->at, end = begin + 1;
    memmove(document->last + 1, document->last, sizeof document->last - sizeof document->last[0]);
    if (begin >= document->length) {
        document->last[0] = (struct token){TOKEN_END, begin, begin};
        return TOKEN_END;
    }
    unsigned char first = document->bytes[begin];
    enum token_kind kind = TOKEN_SIGN;
    if (first == '(') {
        kind = TOKEN_STRING;
        end = text_end(document, begin);
    } else if (first == '<' && end < document->length && document->bytes[end] == '<') {
        end++;
    } else if (first == '<') {
        kind = TOKEN_STRING;
        end = hex_end(document, begin);
    } else if (first == '/' || is_regular(first)) {
        kind = first == '/' ? TOKEN_NAME : TOKEN_WORD;
        while (end < document->length && is_regular(document->bytes[end])) {
            end++;
        }
    }
    document->at = end;
    document->last[0] = (struct token){kind, begin, end};
    return kind;
}

/* Whether the token before so many others reads so. */
static bool was(const struct document *document, size_t before, const char *text) {
    const struct token *token = &document->last[before];
    size_t length = strlen(text);
    return token->kind != TOKEN_END && token->end - token->begin == length &&
           memcmp(document->bytes + token->begin, text, length) == 0;
}

/* A number of an object; 0 = none. */
static unsigned long number_of(const struct document *document, size_t before) {
    const struct token *token = &document->last[before];
    unsigned long number = 0;
    for (size_t at = token->begin; at < token->end; at++) {
        unsigned char byte = document->bytes[at];
        if (byte < '0' || byte > '9' || number > 1000000000) {
            return 0;
        }
        number = number * 10 + (byte - '0');
    }
    return number;
}

static bool is_info(const struct document *document, unsigned long number) {
    for (size_t i = 0; i < document->info_count; i++) {
        if (document->infos[i] == number) {
            return true;
        }
    }
    return false;
}

/* A text of the same length that says nothing. Of an encrypted document, too. */
static void empty_text(struct document *document) {
    unsigned char *text = document->bytes + document->last[0].begin;
    size_t length = document->last[0].end - document->last[0].begin;
    unsigned char close = text[0] == '(' ? ')' : '>';
    if (length > 2 && text[length - 1] == close) { /* else the file ends in it */
        text[1] = close;
        memset(text + 2, ' ', length - 2);
    }
}

/* XMP of nothing, or what a filter makes nothing of: zlib's (RFC 1950). */
static void empty_metadata(const struct document *document, size_t begin, size_t end) {
    static const char packet[] = "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"/>", zlib[] = "\x78\x01\x01\0\0\xFF\xFF\0\0\0\1";
    bool filtered = document->object.filtered;
    const char *empty = filtered ? zlib : packet;
    size_t length = filtered ? sizeof zlib - 1 : sizeof packet - 1;
    memset(document->bytes + begin, filtered ? 0 : ' ', end - begin);
    if (length <= end - begin) {
        memcpy(document->bytes + begin, empty, length);
    }
}

/* The bytes of a stream, behind its first word, up to the last one's line. */
static void read_stream(struct document *document, bool blank) {
    static const char last[] = "endstream";
    size_t begin = document->at;
    begin += begin < document->length && document->bytes[begin] == '\r';
    begin += begin < document->length && document->bytes[begin] == '\n';
    const unsigned char *found = memmem(document->bytes + begin, document->length - begin, last, sizeof last - 1);
    size_t end = found == NULL ? document->length : (size_t)(found - document->bytes);
    document->at = end;
    end -= end > begin && document->bytes[end - 1] == '\n';
    end -= end > begin && document->bytes[end - 1] == '\r';
    if (blank && document->object.metadata) {
        empty_metadata(document, begin, end);
    } else if (blank) {
        media_jpeg_blank(document->bytes + begin, end - begin);
    }
}

/* A reference, "12 0 R", of a trailer. */
static void read_reference(struct document *document, bool blank) {
    unsigned long number = number_of(document, 2);
    if (!was(document, 3, "/Info") || number == 0) {
        return;
    }
    if (blank) { /* the object may be in a stream of compressed ones, where it stays, and nobody is led to it */
        memset(document->bytes + document->last[3].begin, ' ', document->last[0].end - document->last[3].begin);
    } else if (!is_info(document, number) && document->info_count < INFOS_MAX) {
        document->infos[document->info_count++] = number;
    }
}

static void read_all(struct document *document, bool blank) {
    enum token_kind kind;
    document->at = 0;
    memset(document->last, 0, sizeof document->last);
    document->object = (struct object){0};
    while ((kind = next_token(document)) != TOKEN_END) {
        struct object *object = &document->object;
        if (kind == TOKEN_STRING && blank && is_info(document, object->number)) {
            empty_text(document);
        } else if (kind == TOKEN_NAME) {
            object->metadata = object->metadata || (was(document, 0, "/Metadata") && was(document, 1, "/Type"));
            object->filtered = object->filtered || was(document, 0, "/Filter");
            document->is_signed = document->is_signed || was(document, 0, "/ByteRange");
        } else if (was(document, 0, "obj")) {
            *object = (struct object){.number = number_of(document, 2)};
        } else if (was(document, 0, "endobj")) {
            *object = (struct object){0};
        } else if (was(document, 0, "R")) {
            read_reference(document, blank);
        } else if (was(document, 0, "stream")) {
            read_stream(document, blank);
        }
    }
}

const char *media_pdf_strip(struct media_passage *passage) {
    enum { TRAILER_WITHIN = 1024 };
    struct document document = {.bytes = passage->bytes, .length = passage->length};
    read_all(&document, false);
    if (!document.is_signed) {
        read_all(&document, true);
    }
    size_t from = passage->length > TRAILER_WITHIN ? passage->length - TRAILER_WITHIN : 0;
    if (memmem(passage->bytes + from, passage->length - from, "%%EOF", 5) == NULL) {
        return media_ends_early;
    }
    media_give(passage, passage->bytes, passage->length);
    return NULL;
}
