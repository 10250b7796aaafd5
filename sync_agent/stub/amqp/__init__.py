"""A local Event Hubs namespace: an AMQP 1.0 server that the unmodified Azure SDKs talk to.

Layers, top to bottom; each file imports only files below it::

    broker                     listens, starts and stops
    connection                 one socket: handshake, SASL, heartbeats, frames to sessions
    session                    channels, transfer windows, attach
    publisher | consumer | request    what a link does: events in, events out, questions answered
    link                       credit, assembly of deliveries, detach
    cbs | management           the two nodes that answer questions
    namespace                  hubs, partitions, ownership of partitions, group commit
    memory_log | sqlite_log    where events are kept
    partition_log              the port both fill, numbering, retention
    selector | token | hashing | message | performatives | frames
    encoder
    codec
    condition                  error conditions
"""
