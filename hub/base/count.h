/* count.h: the length of an array, said in one way. */
#ifndef CITYHUB_COUNT_H
#define CITYHUB_COUNT_H

/* Elements of an array; not for a pointer. */
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
