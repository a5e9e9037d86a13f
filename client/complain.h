/*
 * What goes wrong, told on standard error, after the program's name. Whatever
 * of it comes from the network has been tamed (tame.h).
 */
#ifndef RINGCHAT_CLIENT_COMPLAIN_H
#define RINGCHAT_CLIENT_COMPLAIN_H

__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

#endif
