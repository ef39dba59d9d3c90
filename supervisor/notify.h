/* notify.h - the only door to libsystemd: what the service manager is told. */
#ifndef MS_NOTIFY_H
#define MS_NOTIFY_H

/* `state` as sd_notify(3) has it: "READY=1", "WATCHDOG=1" ... Does nothing where no service manager
 * listens (NOTIFY_SOCKET is not set). Never fails; if the library cannot be loaded, that is logged
 * once. Call from the main thread. */
void notify(const char *state);

#endif
