/* The end of every rank. */
#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE 700
#include "collbench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* MPICH before 4.2 over UCX's TCP can lose the end of a connection in MPI_Finalize and look for it
 * for ever (Debian 12 and Ubuntu 22.04 have 4.0; pmodels/mpich pull request 6596). */
#if defined(MPICH_NUMVERSION) && !defined(I_MPI_VERSION)
#if MPICH_NUMVERSION < 40200000
#define MAY_HANG
#endif
#endif

#ifdef MAY_HANG
/* Only a rank that looks uses the processor; one that waits for the others does not. */
#define FINALIZE_CPU_S 2

static int process_manager = -1;
static volatile sig_atomic_t exit_code;

static void ask(const char *line, const char *answer)
{
    char text[512] = "";
    size_t length = 0;
    if (write(process_manager, line, strlen(line)) < 0)
        return;
    while (length < sizeof text - 1 && !strstr(text, answer)) {
        ssize_t got = read(process_manager, text + length, sizeof text - 1 - length);
        if (got <= 0)
            return;
        length += (size_t)got;
        text[length] = '\0';
    }
}

/* Say to the process manager what MPI_Finalize would have said, in the words of PMI-1, and end:
 * it would take a rank that just ends for one that died. */
static void leave(int signal_number)
{
    (void)signal_number;
    ask("cmd=barrier_in\n", "cmd=barrier_out");
    ask("cmd=finalize\n", "cmd=finalize_ack");
    _exit(exit_code);
}

static void watch_finalize(int code)
{
    const char *number = getenv("PMI_FD");
    if (!number)
        return;
    process_manager = (int)strtol(number, NULL, 10);
    exit_code = code;
    struct sigaction action = {.sa_handler = leave};
    sigaction(SIGPROF, &action, NULL);
    struct itimerval limit = {.it_value = {.tv_sec = FINALIZE_CPU_S}};
    setitimer(ITIMER_PROF, &limit, NULL);
}
#endif

int finish(int code)
{
    fflush(stdout);
    fflush(stderr);
#ifdef MAY_HANG
    watch_finalize(code);
#endif
    MPI_Finalize();
    return code;
}
