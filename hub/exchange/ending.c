/* ending.c: see ending.h. */
#include "hub/exchange/ending.h"

#include <signal.h>
#include <time.h>

static sigset_t signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

void ending_hold(void) {
    sigset_t set = signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
}

bool ending_has_come(void) {
    sigset_t pending;
    return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

void ending_nap(int64_t milliseconds) {
    sigset_t set = signals();
    struct timespec rest = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    int number = ending_has_come() ? 0 : sigtimedwait(&set, NULL, &rest);
    if (number > 0) {
        raise(number); /* it stays pending: whoever asks later is told, too */
    }
}
