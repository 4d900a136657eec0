/* ending.h: the end of a program that works in the foreground until SIGTERM or SIGINT. The signals are held back and
 * stay pending: whoever asks is told, and what is under way is not torn. */
#ifndef CITYHUB_EXCHANGE_ENDING_H
#define CITYHUB_EXCHANGE_ENDING_H

#include <stdbool.h>
#include <stdint.h>

/* Holds the signals back from here on. */
void ending_hold(void);

/* False as long as they are not held back. */
bool ending_has_come(void);

/* Sleeps, unless the end has come or comes. */
void ending_nap(int64_t milliseconds);

#endif
