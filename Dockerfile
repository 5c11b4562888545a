# Two stages: libraries are installed in the first, the second carries only what runs.
FROM python:3.12-slim AS build
WORKDIR /jota
RUN python -m venv /opt/jota
COPY requirements.lock ./
RUN /opt/jota/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY jota_core jota_core
COPY plugins plugins
RUN /opt/jota/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
LABEL org.opencontainers.image.title="Jota" org.opencontainers.image.licenses="Apache-2.0"
# llama.cpp computes with OpenMP, which the slim image leaves out.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/jota jota
COPY --from=build /opt/jota /opt/jota
COPY config/lan.yaml /etc/jota/jota.yaml
ENV PATH=/opt/jota/bin:$PATH JOTA_DATA=/var/lib/jota JOTA_MODEL_CACHE=/var/lib/jota/cache PYTHONUNBUFFERED=1
USER 10001
VOLUME /var/lib/jota
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["/bin/sh", "-c", "jota models pull starter && { jota models pull whisper-base kokoro-es || true; } && exec jota run -c /etc/jota/jota.yaml"]
