/* routes_attachment.c: photographs, documents and videos of cases. Who may see one is who may see its case:
 * schema/rules/http_attachment.sql. */
#include "hub/http/attachment.h"
#include "hub/http/routes.h"

#define NAME                                                                                                           \
    {                                                                                                                  \
        .name = "sha256", .kind = PARAMETER_TEXT, .low = 64, .high = 64,                                               \
        .meaning = "the attachment's SHA-256, 64 hexadecimal digits"                                                   \
    }

static const struct parameter file_parameters[] = {NAME, {0}};

#define MEDIA_TYPES "image/jpeg image/png image/webp application/pdf video/mp4"

const struct route routes_attachment[] = {
    {.method = METHOD_POST,
     .pattern = "/api/v1/attachments",
     .summary = "Take a photograph, document or video, to be attached to a case within a day",
     .right = RIGHT_READ,
     .body = {.types = MEDIA_TYPES " application/octet-stream", .limit = ATTACHMENT_LIMIT, .sink = &attachment_sink},
     .function = "onemap.http_attachment_add",
     .content_type = JSON_TYPE,
     .deadline_s = ATTACHMENT_DEADLINE_S},
    {.method = METHOD_GET,
     .pattern = "/api/v1/attachments/{sha256}",
     .summary = "An attachment of a case that who asks may see; parts by Range",
     .right = RIGHT_READ,
     .parameters = file_parameters,
     .function = "onemap.http_attachment",
     .content_type = "image/jpeg",
     .more_types = "image/png image/webp application/pdf video/mp4",
     .cache = "private, no-cache",
     .etag = ETAG_GIVEN,
     .deadline_s = ATTACHMENT_DEADLINE_S},
    {.method = METHOD_GET,
     .pattern = "/api/v1/attachments/{sha256}/thumbnail",
     .summary = "Its small picture, of a photograph",
     .right = RIGHT_READ,
     .parameters = file_parameters,
     .function = "onemap.http_attachment_thumbnail",
     .content_type = "image/jpeg",
     .cache = "private, no-cache",
     .etag = ETAG_GIVEN},
    {0},
};
