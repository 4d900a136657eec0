/* folder.h: messages as files, for a one-way gate that carries them up. */
#ifndef CITYHUB_EXCHANGE_FOLDER_H
#define CITYHUB_EXCHANGE_FOLDER_H

#include <curl/curl.h>

#include "hub/exchange/platform.h"

/* Writes a file of this name into the folder: it has the name only when it is whole and on the disk. Returns 0, or
 * CH_EIO with errno. */
int folder_write(const char *folder, const char *name, const char *text);

/* Writes `<key>.json` into the target's folder: {target, path, key, headers: [..], message}; the same key is the same
 * file. It has its name only when it is whole and on the disk. `receipt` (96 bytes) is its name. Returns 0, or CH_EIO
 * or CH_EMEMORY with the reason in `problem` (256 bytes). */
int folder_put(const struct platform *target, const char *path, const char *key, const char *body,
               const struct curl_slist *headers, char *receipt, char *problem);

#endif
