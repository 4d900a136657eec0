/* taken.c: tcp(7), TCP_INFO. In a file of its own: the kernel's header, which alone has all of its fields, and the C
 * library's cannot be had together. */
#include "hub/http/taken.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

bool taken_of(int socket, uint64_t *bytes, bool *all) {
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) {
        return false;
    }
    *bytes = info.tcpi_bytes_acked;
    *all = info.tcpi_unacked == 0 && info.tcpi_notsent_bytes == 0;
    return true;
}
