/* The stand-in's streams and events: what is queued is carried out in order, on another thread. */
#define _GNU_SOURCE
#include "fake_gpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define STREAM_MAGIC 0x57a3u
#define EVENT_MAGIC 0xe7e7u

struct work {
    void (*run)(void *);
    void *argument;
    struct work *next;
};

struct stream {
    unsigned magic;
    int stopping;
    int busy;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct work *first;
    struct work *last;
};

struct event {
    unsigned magic;
    int recorded;
    volatile int pending;
    double at_s;
};

int fake_streams_left;
int fake_events_left;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *serve(void *argument)
{
    struct stream *s = argument;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->first && !s->stopping)
            pthread_cond_wait(&s->changed, &s->lock);
        struct work *w = s->first;
        if (!w)
            break;
        s->first = w->next;
        s->busy = 1;
        pthread_mutex_unlock(&s->lock);
        w->run(w->argument);
        free(w);
        pthread_mutex_lock(&s->lock);
        s->busy = 0;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int fake_enqueue(void *stream, void (*run)(void *), void *argument)
{
    struct stream *s = stream;
    if (!s || s->magic != STREAM_MAGIC)
        return 0;
    struct work *w = malloc(sizeof *w);
    *w = (struct work){run, argument, NULL};
    pthread_mutex_lock(&s->lock);
    if (s->first)
        s->last->next = w;
    else
        s->first = w;
    s->last = w;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return 1;
}

int cudaStreamCreateWithFlags(void **stream, unsigned flags)
{
    if (flags > 1)
        return INVALID_VALUE;
    struct stream *s = calloc(1, sizeof *s);
    s->magic = STREAM_MAGIC;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    pthread_create(&s->thread, NULL, serve, s);
    fake_streams_left++;
    *stream = s;
    return SUCCESS;
}

int cudaStreamSynchronize(void *stream)
{
    struct stream *s = stream;
    if (!s || s->magic != STREAM_MAGIC)
        return INVALID_HANDLE;
    pthread_mutex_lock(&s->lock);
    while (s->first || s->busy)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    return SUCCESS;
}

int cudaStreamDestroy(void *stream)
{
    struct stream *s = stream;
    if (!s || s->magic != STREAM_MAGIC)
        return INVALID_HANDLE;
    pthread_mutex_lock(&s->lock);
    s->stopping = 1;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    s->magic = 0;
    free(s);
    fake_streams_left--;
    return SUCCESS;
}

int cudaEventCreate(void **event)
{
    struct event *e = calloc(1, sizeof *e);
    e->magic = EVENT_MAGIC;
    fake_events_left++;
    *event = e;
    return SUCCESS;
}

static void happen(void *argument)
{
    struct event *e = argument;
    e->at_s = now_s();
    __atomic_sub_fetch(&e->pending, 1, __ATOMIC_RELEASE);
}

int cudaEventRecord(void *event, void *stream)
{
    struct event *e = event;
    if (!e || e->magic != EVENT_MAGIC)
        return INVALID_HANDLE;
    __atomic_add_fetch(&e->pending, 1, __ATOMIC_ACQUIRE);
    e->recorded = 1;
    return fake_enqueue(stream, happen, e) ? SUCCESS : INVALID_HANDLE;
}

int cudaEventQuery(void *event)
{
    struct event *e = event;
    if (!e || e->magic != EVENT_MAGIC)
        return INVALID_HANDLE;
    return __atomic_load_n(&e->pending, __ATOMIC_ACQUIRE) ? NOT_READY : SUCCESS;
}

int cudaEventElapsedTime(float *milliseconds, void *start, void *end)
{
    struct event *a = start;
    struct event *b = end;
    if (!a || !b || a->magic != EVENT_MAGIC || b->magic != EVENT_MAGIC || !a->recorded || !b->recorded)
        return INVALID_HANDLE;
    if (a->pending || b->pending)
        return NOT_READY;
    *milliseconds = (float)((b->at_s - a->at_s) * 1000);
    return SUCCESS;
}

int cudaEventDestroy(void *event)
{
    struct event *e = event;
    if (!e || e->magic != EVENT_MAGIC)
        return INVALID_HANDLE;
    e->magic = 0;
    free(e);
    fake_events_left--;
    return SUCCESS;
}
