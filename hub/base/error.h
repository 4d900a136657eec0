/* error.h: the codes that fallible functions return: 0 for success or one of these, all negative.
 * The function that has the context logs once; its callers pass the code on. */
#ifndef CITYHUB_ERROR_H
#define CITYHUB_ERROR_H

enum {
    CH_EINVAL = -1,    /* wrong input from a caller, a file or a message */
    CH_EMEMORY = -2,   /* an allocation failed */
    CH_EIO = -3,       /* a file, socket or library call failed */
    CH_EDATABASE = -4, /* PostgreSQL refused or is away */
    CH_EBROKER = -5,   /* the MQTT broker refused or is away */
    CH_EFULL = -6,     /* a bounded queue or buffer is full */
    CH_ENOTFOUND = -7, /* the named thing does not exist */
};

/* Exit codes of every command. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};

#endif
