# A button and a light on an ESP32 with MicroPython: press, and Jota is asked; the light is on while it
# thinks. Needs umqtt.simple (`mpremote mip install umqtt.simple`). Set the names below, copy it as main.py.
import json
import time

import network
from machine import Pin, unique_id
from umqtt.simple import MQTTClient

WIFI, WIFI_PASSWORD = "house", "..."
BROKER, USER, PASSWORD = "192.168.1.10", "button", "..."  # from `jota nodes approve button`
QUESTION = "Is there anything I should know before I leave the house?"
ROOT = "jota/v1/nodes/" + USER + "/"

button = Pin(0, Pin.IN, Pin.PULL_UP)
light = Pin(2, Pin.OUT, value=0)


def heard(topic, payload):
    kind = topic.decode()[len(ROOT) :]
    body = json.loads(payload)
    if kind == "res/final":
        light.off()
        print(body["text"])
    elif kind == "res/error":
        light.off()
        print(body["code"], body["message"])


def connected():
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    if not wlan.isconnected():
        wlan.connect(WIFI, WIFI_PASSWORD)
        while not wlan.isconnected():
            time.sleep(0.2)
    client = MQTTClient("node-" + USER, BROKER, user=USER, password=PASSWORD, keepalive=30)
    client.set_last_will(ROOT + "status", "offline", retain=True, qos=1)
    client.set_callback(heard)
    client.connect(clean_session=False)  # answers that came while it slept wait at the broker
    client.subscribe(ROOT + "res/final", qos=1)
    client.subscribe(ROOT + "res/error", qos=1)
    client.publish(ROOT + "status", "online", retain=True, qos=1)
    info = {"name": USER, "hardware": "esp32", "proto": "jota/v1", "features": {"buttons": 1}}
    client.publish(ROOT + "info", json.dumps(info), retain=True, qos=1)
    return client


def serve(client):
    pressed, pinged = False, time.time()
    while True:
        client.check_msg()
        if not button.value() and not pressed:
            light.on()
            # The id makes it the same request when the broker brings it twice.
            asked = {"id": unique_id().hex() + str(time.ticks_ms()), "text": QUESTION}
            client.publish(ROOT + "req/text", json.dumps(asked), qos=1)
        pressed = not button.value()
        if time.time() - pinged > 10:
            client.ping()
            pinged = time.time()
        time.sleep(0.05)


while True:
    try:
        serve(connected())
    except OSError as error:
        print("The broker is away:", error)
        light.off()
        time.sleep(2)
