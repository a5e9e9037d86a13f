/*
 * A doubly linked list and a count under one mutex.
 */
#include "stage1-blocking/table.h"

void table_init(struct table *table)
{
    *table = (struct table){.threads = 0};
    pthread_mutex_init(&table->lock, NULL);
}

void table_add(struct table *table, struct connection *connection)
{
    pthread_mutex_lock(&table->lock);
    connection->previous = NULL;
    connection->next = table->first;
    if (table->first)
        table->first->previous = connection;
    table->first = connection;
    table->threads++;
    pthread_mutex_unlock(&table->lock);
}

void table_remove(struct table *table, struct connection *connection)
{
    pthread_mutex_lock(&table->lock);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        table->first = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    pthread_mutex_unlock(&table->lock);
}

void table_thread_ends(struct table *table)
{
    pthread_mutex_lock(&table->lock);
    table->threads--;
    pthread_mutex_unlock(&table->lock);
}

unsigned table_threads(struct table *table)
{
    unsigned threads;

    pthread_mutex_lock(&table->lock);
    threads = table->threads;
    pthread_mutex_unlock(&table->lock);
    return threads;
}

/* shutdown(2): a recv or send that waits on the socket returns at once, with 0
 * or EPIPE. It fails only if the peer is gone, which does as well. */
static void cut(struct connection *connection)
{
    shutdown(connection->fd, SHUT_RDWR);
}

void table_visit(struct table *table, void (*visit)(struct connection *))
{
    pthread_mutex_lock(&table->lock);
    for (struct connection *c = table->first; c; c = c->next)
        visit(c);
    pthread_mutex_unlock(&table->lock);
}

void table_cut_all(struct table *table)
{
    table_visit(table, cut);
}
