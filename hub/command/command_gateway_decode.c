/* command_gateway_decode.c: `cityhub gateway decode`: frames of field devices, one a line, shown as JSON. For who looks
 * at what a device sends. Must never need a configuration, a broker or a database. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "hub/base/error.h"
#include "hub/cli/arguments.h"
#include "hub/command/commands.h"
#include "hub/gateway/protocol.h"

/* Prints one line's object. Returns 0 or CH_EMEMORY. */
static int print_line(const struct protocol *protocol, const char *line, size_t length) {
    cJSON *out = cJSON_CreateObject();
    int code = out == NULL ? CH_EMEMORY : protocol->decode_line(line, length, out);
    char *text = code == 0 ? cJSON_PrintUnformatted(out) : NULL;
    cJSON_Delete(out);
    if (text == NULL) {
        return CH_EMEMORY;
    }
    puts(text);
    cJSON_free(text);
    return 0;
}

static int decode(const struct config *config, const struct arguments *arguments) {
    (void)config;
    const struct protocol *protocol = protocol_find(argument_text(arguments, "protocol"));
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    int code = 0;
    while (code == 0 && (length = getline(&line, &size, stdin)) >= 0) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) {
            length--;
        }
        code = print_line(protocol, line, (size_t)length);
    }
    free(line);
    if (code != 0) {
        return command_fail("there is no memory left");
    }
    if (ferror(stdin) != 0) {
        return command_fail("standard input cannot be read");
    }
    return EXIT_DONE;
}

static const struct command_option options[] = {
    {.name = "protocol",
     .argument = "NAME",
     .kind = OPTION_WORD,
     .words = "hj212 jt808",
     .required = true,
     .help = "what the device speaks"},
    {0},
};

const struct command command_gateway_decode = {
    .name = "decode",
    .summary = "show frames of field devices from standard input, one a line, as JSON",
    .text =
        "HJ 212 is written as text, in which \\r \\n \\t \\\\ and \\xNN stand for single bytes. One line of JSON a line: the frame's "
        "fields and items under their own names (one that is taken already: behind `cp.`), `len` and `crc` as they came and, if "
        "they are wrong, as they should be, `valid`, `why` it is not, and a `note` on what is unusual and does no harm. Of "
        "several frames in a line each one's names begin with its number. PW, a password, is not shown; encrypted frames "
        "(HJ 212-2025) are read with the key of the standard's examples, 16 times the digit 0.\n"
        "JT/T 808 is written in hexadecimal, from 7e to 7e; a line may have several frames, the beginning of one, or junk. "
        "`pkg` is the number of a sub-packet and how many there are, `iE1` additional item E1 of a position (another one with its "
        "id: `iE1'`), `1.lat` the first position of a batch; times are shown as the terminal's clock has them, as +08:00; a "
        "`body` that is not known is shown in hexadecimal, a long one as the first 16 digits of its SHA-256.",
    .options = options,
    .run = decode,
    .bare = true,
    .examples = "cityhub gateway decode --protocol hj212 < frames.txt\n"
                "echo 7e000200000144199999990007c07e | cityhub gateway decode --protocol jt808\n",
};
