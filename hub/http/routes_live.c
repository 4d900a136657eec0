/* routes_live.c: the live stream's route. Its events are described in docs/stream.md. */
#include "hub/http/routes.h"
#include "hub/http/stream.h"

static const struct parameter stream_parameters[] = {
    {.name = "layer",
     .kind = PARAMETER_CHOICE,
     .choices = "state position alarm case counter score tile",
     .list = 7,
     .meaning =
         "only these: states of devices, positions of what moves, alarms, cases, counters, months' scores, tiles"},
    {.name = "subsystem",
     .kind = PARAMETER_TEXT,
     .low = 2,
     .high = 32,
     .list = 16,
     .meaning = "only what is of these subsystems"},
    {.name = "bbox", .kind = PARAMETER_BOX, .meaning = "only what is in this box, and what moves out of it"},
    {.name = "department",
     .kind = PARAMETER_TEXT,
     .low = 1,
     .high = 64,
     .meaning = "only what is of this department and those below it, by its code"},
    {.name = "last_event_id",
     .kind = PARAMETER_TEXT,
     .low = 0,
     .high = 64,
     .meaning = "what was seen, to go on behind it; the header Last-Event-ID comes first"},
    {0},
};

const struct route routes_live[] = {
    {.method = METHOD_GET,
     .pattern = "/api/v1/stream",
     .summary = "What changes, as it changes: server-sent events",
     .right = RIGHT_READ,
     .parameters = stream_parameters,
     .stream = stream_answer,
     .content_type = "text/event-stream",
     .cache = "no-cache, no-transform",
     .endless = true},
    {0},
};
