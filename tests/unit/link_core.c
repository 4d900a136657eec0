/* link_core.c: every object of the product in one program, and none of the simulator: that it links is the test. */
#include <stdio.h>

#include "hub/command/commands.h"

int main(void) {
    printf("%s\n", command_serve.summary);
    return 0;
}
